//! The "ESXi host": where the bytes of files are put and got, with a ticket that is good once.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::{File, Ticket};
use crate::fault::{self, Voice};
use crate::net::server::Handler;
use crate::net::{Reply, Request};
use crate::rest::Dialect;
use crate::vcenter::{Shared, lock};

/// Answers for all hosts of a vCenter.
pub(crate) struct Host(pub(crate) Arc<Shared>);

impl Handler for Host {
    fn handle(self: Arc<Self>, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send>> {
        Box::pin(async move { self.answer(request).await })
    }
}

impl Host {
    async fn answer(&self, request: Request) -> Reply {
        let shared = &self.0;
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

    fn transfer(&self, request: &Request) -> Reply {
        let shared = &self.0;
        // A client that shows its session here gives it away to every host.
        if request.header("cookie").is_some() || request.header("authorization").is_some() {
            return Reply::text(400, "text/plain", "A session has no business here.".to_owned());
        }
        let token = request.query.split('&').find_map(|pair| pair.strip_prefix("token="));
        let ticket = token.and_then(|token| lock(&shared.guests.tickets).remove(token));
        match (request.method.as_str(), ticket) {
            ("PUT", Some(Ticket::Put { vm, path, mode, size })) => {
                if request.body.len() as u64 != size {
                    return Reply::text(400, "text/plain", "The file is not as long as was said.".to_owned());
                }
                let bytes = request.body.clone();
                shared.guests.with(vm, |guest| guest.files.insert(path.clone(), File { bytes, mode }));
                let detail = json!({ "path": path, "mode": format!("{mode:o}"), "size": size });
                shared.record("PUT guestFile", &vm.to_string(), detail, true);
                Reply::empty(200)
            }
            ("GET", Some(Ticket::Get { vm, path })) => {
                let found =
                    shared.guests.with(vm, |guest| guest.files.get(&path).map(|file| file.bytes.clone()));
                match found {
                    Some(bytes) => {
                        let mut reply = Reply::text(200, "application/octet-stream", String::new());
                        reply.steps = vec![crate::net::Step::Data(Bytes::from(bytes))];
                        reply
                    }
                    None => Reply::empty(404),
                }
            }
            _ => Reply::empty(404),
        }
    }
}
