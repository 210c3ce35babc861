//! Doing to a call what a rule says.

use std::time::Duration;

use bytes::Bytes;

use crate::aws::Protocol;
use crate::net::{Reply, Step};
use crate::rest::Dialect;
use crate::soap::fault::Fault;

use super::FaultEffect;

/// How the service speaks to which a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    Soap,
    Rest(Dialect),
    /// The two services of VMware Cloud.
    Cloud,
    /// AWS, in one of its protocols.
    Aws(Protocol),
}

impl Voice {
    fn is_xml(self) -> bool {
        matches!(self, Self::Soap | Self::Aws(Protocol::Query))
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Soap => "text/xml; charset=utf-8",
            Self::Rest(_) | Self::Cloud => "application/json",
            Self::Aws(protocol) => protocol.content_type(),
        }
    }

    /// An error in the form of the service.
    fn error(self, name: &str) -> Reply {
        match self {
            Self::Soap => crate::soap::fault_reply(&Fault::new(name, &format!("{name} by fault rule"))),
            Self::Rest(dialect) => crate::rest::error::Error::by_rule(name).reply(dialect),
            Self::Cloud => {
                let status = if name == "NotAuthenticated" { 401 } else { 500 };
                crate::vmc::error(status, &format!("{name} by fault rule"))
            }
            Self::Aws(protocol) => protocol.error(400, name, &format!("{name} by fault rule")),
        }
    }
}

/// What happens before the call: an answer that replaces it, or `None` when it goes ahead.
pub(crate) async fn before(effect: &FaultEffect, voice: Voice) -> Option<Reply> {
    let xml = voice.is_xml();
    match effect {
        FaultEffect::Delay { milliseconds } => {
            tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
            None
        }
        FaultEffect::Hang { milliseconds } => {
            tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
            Some(Reply::reset())
        }
        FaultEffect::ResetBefore => Some(Reply::reset()),
        FaultEffect::Status { code } => {
            let mut reply = Reply::text(*code, "text/plain", format!("{code} by fault rule\n"));
            if (300..400).contains(code) {
                reply.header("location", "/elsewhere");
            }
            if *code == 429 || *code == 503 {
                reply.header("retry-after", "1");
            }
            Some(reply)
        }
        FaultEffect::SoapFault { name } => Some(voice.error(name)),
        FaultEffect::AwsError { code, status, message } => Some(match voice {
            Voice::Aws(protocol) => protocol.error(*status, code, message),
            Voice::Soap | Voice::Rest(_) | Voice::Cloud => {
                Reply::text(*status, "text/plain", format!("{code}: {message}\n"))
            }
        }),
        FaultEffect::EntityBomb => {
            let mut body = String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [<!ENTITY l0 \"lol\">");
            for level in 1..12 {
                let inner = format!("&l{};", level - 1).repeat(10);
                body.push_str(&format!("<!ENTITY l{level} \"{inner}\">"));
            }
            body.push_str("]>\n<lolz>&l11;</lolz>");
            Some(Reply::text(200, "text/xml; charset=utf-8", body))
        }
        FaultEffect::Huge { bytes } => Some(huge(*bytes, voice)),
        FaultEffect::Deep => {
            let deep = if xml {
                format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000))
            } else {
                "[".repeat(100_000)
            };
            Some(Reply::text(200, voice.content_type(), deep))
        }
        FaultEffect::Empty => Some(Reply::text(200, voice.content_type(), String::new())),
        FaultEffect::Html => {
            let page =
                "<html><head><title>503</title></head><body><h1>Service Unavailable</h1><br></body></html>";
            Some(Reply::text(200, "text/html", page.to_owned()))
        }
        FaultEffect::ResetAfter
        | FaultEffect::ResetMiddle
        | FaultEffect::Truncate
        | FaultEffect::Malformed
        | FaultEffect::WrongContentType
        | FaultEffect::WrongEncoding
        | FaultEffect::ExpireSession
        | FaultEffect::HoldBefore
        | FaultEffect::HoldAfter
        | FaultEffect::Restart
        | FaultEffect::Drip { .. } => None,
    }
}

/// A valid beginning and then an element that does not end; the memory is shared between the pieces.
fn huge(bytes: u64, voice: Voice) -> Reply {
    let head = if voice == Voice::Soap {
        format!("{}<Response xmlns=\"urn:vim25\"><returnval>", crate::xml::ENVELOPE_OPEN)
    } else if voice.is_xml() {
        "<Response><Result>".to_owned()
    } else {
        "\"".to_owned()
    };
    let mut reply = Reply::text(200, voice.content_type(), head);
    let piece = Bytes::from(vec![b'x'; 64 << 10]);
    for _ in 0..bytes / (64 << 10) {
        reply.steps.push(Step::Data(piece.clone()));
    }
    reply
}

/// What happens to the answer of a call that was executed.
pub(crate) fn after(effect: &FaultEffect, mut reply: Reply) -> Reply {
    let body = reply.bytes();
    let half = body.len() / 2;
    match effect {
        FaultEffect::ResetAfter | FaultEffect::Restart => return Reply::reset(),
        FaultEffect::ResetMiddle => {
            reply.declared = u64::try_from(body.len()).ok();
            reply.steps = vec![Step::Data(body.slice(..half)), Step::Abort];
            if half == 0 {
                return Reply::reset();
            }
        }
        FaultEffect::Truncate => reply.steps = vec![Step::Data(body.slice(..half))],
        FaultEffect::Malformed => {
            let mut damaged = body[..half].to_vec();
            damaged.extend_from_slice(b"</><&bad;\x00\xff\xfe<a b=c>");
            damaged.extend_from_slice(&body[half..]);
            reply.steps = vec![Step::Data(damaged.into())];
        }
        FaultEffect::WrongContentType => reply.header("content-type", "image/png"),
        FaultEffect::WrongEncoding => {
            let text = String::from_utf8_lossy(&body);
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            reply.steps = vec![Step::Data(wide.into())];
        }
        FaultEffect::Drip { bytes, milliseconds } => {
            reply.declared = u64::try_from(body.len()).ok();
            reply.steps = Vec::new();
            // A long answer drips a thousand times, not for hours.
            let size = (*bytes).max(body.len() / 1000).max(1);
            let mut rest = body;
            while !rest.is_empty() {
                reply.steps.push(Step::Data(rest.split_to(size.min(rest.len()))));
                reply.steps.push(Step::Sleep(Duration::from_millis(*milliseconds)));
            }
        }
        FaultEffect::Delay { .. }
        | FaultEffect::Hang { .. }
        | FaultEffect::Status { .. }
        | FaultEffect::ResetBefore
        | FaultEffect::SoapFault { .. }
        | FaultEffect::EntityBomb
        | FaultEffect::Huge { .. }
        | FaultEffect::Deep
        | FaultEffect::ExpireSession
        | FaultEffect::Empty
        | FaultEffect::AwsError { .. }
        | FaultEffect::HoldBefore
        | FaultEffect::HoldAfter
        | FaultEffect::Html => {}
    }
    reply
}
