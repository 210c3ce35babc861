//! The checks of one vCenter.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;
use vsphere_client::error::{Error, ErrorKind};
use vsphere_client::soap::ApiVersion;
use vsphere_client::tls::{Thumbprint, TlsTrust};
use vsphere_client::vcenter::{Session, Vcenter};

use super::course::{Blocked, Course, Finding};
use super::privileges::{Capability, Need, Privilege};
use super::report::{Outcome, Row, SourceKind, SourceReport};
use super::{Setting, login, network, secret, skew, tags};
use crate::clock;
use crate::config::{self, Mode};
use crate::source::{self, Clients, Password, Source};

/// The checks in their order.
const PLAN: &[&str] =
    &["secret", "dns", "tcp", "tls", "login", "version", "clock", "privilege", "tags", "events"];

/// The oldest and the newest major version of vCenter that vmbridge was made for.
const MAJORS: std::ops::RangeInclusive<u32> = 6..=9;

/// Types of events that tell about tags.
const TAG_EVENTS: [&str; 2] = ["com.vmware.cis.tagging.attach", "com.vmware.cis.tagging.detach"];

/// One vCenter to check.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) kind: SourceKind,
    /// The part of the configuration that describes it, for what to write where.
    pub(super) section: String,
    pub(super) source: Source,
}

impl Target {
    /// The vCenter of a `[[vcenter]]` entry.
    pub(super) fn of_vcenter(entry: &config::Vcenter) -> Self {
        let section = format!("[[vcenter]] {:?}", entry.name);
        Self { kind: SourceKind::Vcenter, section, source: Source::of_vcenter(entry) }
    }
}

/// Checks one vCenter and leaves nothing behind.
pub(super) async fn check(target: Target, setting: &Setting<'_>) -> SourceReport {
    let mut course =
        Course::new(target.kind, &target.source.name, &target.source.url, setting.limits.request_timeout);
    // What stops it is in the report.
    let _ = walk(&target, setting, &mut course).await;
    course.finish(PLAN)
}

async fn walk(target: &Target, setting: &Setting<'_>, course: &mut Course) -> Result<(), Blocked> {
    let password = match &target.source.password {
        Password::Stored(reference) => {
            course.try_it("secret", secret::read(setting.secrets, reference)).await
        }
        Password::Told(password) => {
            let password = password.clone();
            course
                .try_it("secret", async {
                    Finding::pass(password, "the initial cloudadmin password, as VMC reports it")
                })
                .await
        }
    };
    let connect = setting.limits.connect_timeout;
    let Source { url, username, ca_file, thumbprints, .. } = &target.source;
    let trust = Trust { ca_file: ca_file.as_ref(), thumbprints };
    let trust = reach(course, "", url, trust, &target.section, connect).await?;
    let password = password.ok_or(Blocked)?;
    let clients = match Clients::new(url, username, password, trust, setting.limits) {
        Ok(clients) => clients,
        Err(detail) => {
            let fix = format!("correct the trust settings in {}", target.section);
            course.try_it("login", async { Finding::<()>::fail(detail, fix) }).await;
            return Err(Blocked);
        }
    };
    setting.opened.remember(&clients);
    let end = inside(target, setting, course, &clients).await;
    if let Err(error) = clients.close().await {
        let detail = format!("a session could not be ended: {error}");
        let fix = "nothing; vCenter ends it by itself when it has been idle for half an hour or so";
        course.try_it("logout", async { Finding::warn((), detail, fix) }).await;
    }
    end
}

/// Whom the configuration says to trust.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust<'a> {
    pub(super) ca_file: Option<&'a PathBuf>,
    pub(super) thumbprints: &'a [Thumbprint],
}

/// Name, port and certificate of a server; `which` tells them from those of another. Gives whom to trust.
pub(super) async fn reach(
    course: &mut Course,
    which: &str,
    url: &Url,
    trust: Trust<'_>,
    section: &str,
    limit: Duration,
) -> Result<TlsTrust, Blocked> {
    let addresses = course.need(&format!("dns{which}"), network::dns(url)).await?;
    let address = course.need(&format!("tcp{which}"), network::tcp(&addresses, limit)).await?;
    let trust = match source::trust(trust.ca_file, trust.thumbprints).await {
        Ok(trust) => trust,
        Err(error) => {
            let fix = "correct `ca_file`, or let the user that vmbridge runs as read it";
            course.try_it(&format!("tls{which}"), async { Finding::<()>::fail(error, fix) }).await;
            return Err(Blocked);
        }
    };
    course.need(&format!("tls{which}"), network::tls(url, address, &trust, section)).await?;
    Ok(trust)
}

async fn inside(
    target: &Target,
    setting: &Setting<'_>,
    course: &mut Course,
    clients: &Clients,
) -> Result<(), Blocked> {
    let Clients { soap, rest } = clients;
    let session = course.need("login", log_in(soap, &target.source.username)).await?;
    course.try_it("version", async { version(&session) }).await;
    course.try_it("clock", clock_skew(soap)).await;
    privileges(course, soap, &session, &setting.capabilities).await;
    course.try_it("tags", tags::check(rest)).await;
    if target.source.events {
        course.try_it("events", events(soap)).await;
    } else {
        course.try_it("events", async { Finding::pass((), "not used: `events = false`") }).await;
    }
    Ok(())
}

async fn log_in(client: &Vcenter, username: &str) -> Finding<Arc<Session>> {
    match client.session().await {
        Ok(session) => {
            let detail = format!("as {}", session.user);
            Finding::pass(session, detail)
        }
        Err(error) => {
            let (detail, fix) = login::explain(&error, username);
            Finding::fail(detail, fix)
        }
    }
}

fn version(session: &Session) -> Finding {
    let about = &session.content.about;
    let detail = format!("{}, API {} (spoken: {})", about.full_name, about.api_version, session.version);
    let major = about.version.split('.').next().and_then(|major| major.parse().ok());
    match major {
        Some(major) if MAJORS.contains(&major) => Finding::pass((), detail),
        Some(major) if major > *MAJORS.end() => Finding::warn(
            (),
            format!("{detail}; newer than this vmbridge"),
            "it speaks the newest API that both sides know; update vmbridge when there is a release for this version",
        ),
        _ => {
            Finding::fail(detail, format!("vmbridge needs vCenter with API {} or newer", ApiVersion::OLDEST))
        }
    }
}

async fn clock_skew(client: &Vcenter) -> Finding {
    let start = Instant::now();
    match client.current_time().await {
        Ok(theirs) => skew::judge(theirs, clock::now(), start.elapsed()),
        Err(error) => call_failed(&error),
    }
}

fn call_failed<T>(error: &Error) -> Finding<T> {
    Finding::fail(error.line(), "try again; if it stays so, look at the vCenter's health")
}

async fn privileges(
    course: &mut Course,
    client: &Vcenter,
    session: &Session,
    capabilities: &[(&Capability, Mode)],
) {
    let Some(root) = &session.content.root_folder else {
        let what = "the server did not name its root folder";
        course.try_it("privilege", async { Finding::<()>::fail(what, "is this a vCenter?") }).await;
        return;
    };
    for (capability, mode) in capabilities {
        let ids: Vec<&str> = capability.privileges.iter().map(|privilege| privilege.id).collect();
        let start = Instant::now();
        let answer = match client.has_privileges(std::slice::from_ref(root), &ids).await {
            Ok(answer) => answer,
            Err(error) => {
                let check = format!("privilege {}", capability.name);
                course.try_it(&check, async { call_failed::<()>(&error) }).await;
                continue;
            }
        };
        let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let granted = |id: &str| {
            answer
                .iter()
                .flat_map(|entity| &entity.privileges)
                .any(|grant| grant.privilege == id && grant.granted)
        };
        course.add(capability.privileges.iter().map(|privilege| {
            privilege_row((capability.name, *mode), privilege, granted(privilege.id), &session.user, took_ms)
        }));
    }
}

fn privilege_row(
    (capability, mode): (&str, Mode),
    privilege: &Privilege,
    granted: bool,
    user: &str,
    took_ms: u64,
) -> Row {
    let (outcome, detail, fix) = match (granted, privilege.need) {
        (true, _) => (Outcome::Pass, "granted on the root folder".to_owned(), None),
        (false, Need::Optional) => {
            (Outcome::Pass, format!("not granted, and not needed: {}", privilege.purpose), None)
        }
        (false, Need::Required) => (
            // What is only observed does not need it yet.
            if mode == Mode::Enforce { Outcome::Fail } else { Outcome::Warn },
            format!("not granted on the root folder; it is needed {}", privilege.purpose),
            Some(format!(
                "add {} to the role of {user} at the vCenter's root, propagated to children; see docs/privileges.md",
                privilege.id
            )),
        ),
    };
    Row { check: format!("privilege {capability} {}", privilege.id), outcome, detail, fix, took_ms }
}

async fn events(client: &Vcenter) -> Finding {
    let types = TAG_EVENTS.map(str::to_owned);
    let consequence = "without events a changed tag is noticed by the next reading of all tags only, every 40 s; to accept that, write events = false";
    let history = match client.event_history(&types, 10).await {
        Ok(history) => history,
        Err(error) => {
            return Finding::warn((), format!("events cannot be read: {}", error.line()), consequence);
        }
    };
    let read = client.next_events(&history, 10).await;
    let removed = client.destroy_event_history(&history).await;
    match read.and_then(|events| removed.map(|()| events)) {
        Ok(events) => Finding::pass(
            (),
            match events.len() {
                0 => "can be read; none about tags is kept".to_owned(),
                count => {
                    format!("can be read; {count}{} about tags", if count == 10 { " or more" } else { "" })
                }
            },
        ),
        Err(error) if matches!(error.kind(), ErrorKind::Fault(_)) => {
            Finding::warn((), format!("events cannot be read: {}", error.line()), consequence)
        }
        Err(error) => call_failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_privilege_fails_unless_it_can_be_done_without() {
        let privilege = |need| Privilege { id: "System.Read", need, purpose: "to read" };
        let row_in = |mode, need, granted| {
            privilege_row(("discover", mode), &privilege(need), granted, "VSPHERE.LOCAL\\reader", 3)
        };
        let row = |need, granted| row_in(Mode::Enforce, need, granted);
        assert_eq!(row_in(Mode::Observe, Need::Required, false).outcome, Outcome::Warn);
        assert_eq!(row(Need::Required, true).outcome, Outcome::Pass);
        assert_eq!(row(Need::Optional, false).outcome, Outcome::Pass);
        let missing = row(Need::Required, false);
        assert_eq!(
            (missing.outcome, missing.check.as_str()),
            (Outcome::Fail, "privilege discover System.Read")
        );
        assert!(missing.fix.unwrap().starts_with("add System.Read to the role of VSPHERE.LOCAL\\reader"));
    }
}
