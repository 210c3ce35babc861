//! The "ESXi host": where the bytes of files are put and got, with a ticket that is good once, for a while, and only on the
//! host that the VM was on, as long as it is there.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::{File, Ticket, What};
use crate::clock::uptime;
use crate::fault::{self, Voice};
use crate::net::server::Handler;
use crate::net::{Reply, Request, Step};
use crate::rest::Dialect;
use crate::vcenter::{Shared, lock};
use crate::world::vm::Power;
use crate::world::{Entity, ObjId};

/// Answers for one host.
pub(super) struct Host {
    pub(super) shared: Arc<Shared>,
    pub(super) host: ObjId,
}

impl Handler for Host {
    fn handle(self: Arc<Self>, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send>> {
        Box::pin(async move { self.answer(request).await })
    }
}

fn refusal(status: u16, why: &str) -> Reply {
    Reply::text(status, "text/plain", why.to_owned())
}

impl Host {
    async fn answer(&self, request: Request) -> Reply {
        let shared = &self.shared;
        let operation = format!("{} /guestFile", request.method);
        let effect = shared.faults.draw(&shared.config.name, &operation);
        shared.faults.hold_before(effect.as_ref(), &shared.config.name, &operation).await;
        if let Some(effect) = &effect
            && let Some(reply) = fault::before(effect, Voice::Rest(Dialect::of("/api/"))).await
        {
            return reply;
        }
        let reply = self.transfer(&request);
        shared.faults.hold_after(effect.as_ref(), &shared.config.name, &operation).await;
        match &effect {
            Some(effect) => fault::after(effect, reply),
            None => reply,
        }
    }

    /// Whether the VM still runs on this host.
    fn runs_here(&self, vm: ObjId) -> bool {
        let world = self.shared.world();
        let machine = world.get(vm).and_then(Entity::vm);
        machine.is_some_and(|machine| machine.host == Some(self.host) && machine.power == Power::On)
    }

    fn transfer(&self, request: &Request) -> Reply {
        let shared = &self.shared;
        // A client that shows its session here gives it away to every host.
        if request.header("cookie").is_some() || request.header("authorization").is_some() {
            return refusal(400, "A session has no business here.");
        }
        let token = request.query.split('&').find_map(|pair| pair.strip_prefix("token="));
        let ticket = token.and_then(|token| lock(&shared.guests.tickets).remove(token));
        let Some(Ticket { vm, host, what, .. }) = ticket.filter(|ticket| ticket.until > uptime()) else {
            return Reply::empty(404);
        };
        if host != self.host || !self.runs_here(vm) {
            return refusal(500, "The virtual machine is not here.");
        }
        match (request.method.as_str(), what) {
            ("PUT", What::Put { path, mode, size, owner }) => {
                if request.body.len() as u64 != size {
                    return refusal(400, "The file is not as long as was said.");
                }
                let room = shared.guests.with(vm, |guest| {
                    let room = guest.room_for(&path) >= size;
                    if room {
                        let bytes = request.body.clone();
                        guest.files.insert(path.clone(), File { bytes, mode, owner });
                    }
                    room
                });
                if !room {
                    return refusal(500, "No space left on device.");
                }
                let detail = json!({ "path": path, "mode": format!("{mode:o}"), "size": size });
                shared.record("PUT guestFile", &vm.to_string(), detail, true);
                Reply::empty(200)
            }
            ("GET", What::Get { path }) => {
                let found =
                    shared.guests.with(vm, |guest| guest.files.get(&path).map(|file| file.bytes.clone()));
                let Some(bytes) = found else { return Reply::empty(404) };
                let mut reply = Reply::text(200, "application/octet-stream", String::new());
                reply.steps = vec![Step::Data(Bytes::from(bytes))];
                reply
            }
            _ => Reply::empty(405),
        }
    }
}
