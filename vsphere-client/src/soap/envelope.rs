//! The envelope around every request and answer.

use super::Fault;
use crate::xml::{Decoder, Element, XmlError, XmlErrorKind};

/// The namespace of all methods and their arguments. VMware's simulator does without, a vCenter does not.
const NAMESPACE: &str = "urn:vim25";

pub(super) fn write(request: Element) -> String {
    let body = request.in_namespace(NAMESPACE).into_xml();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\
         <soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    )
}

/// Reads an answer: the fault in it, or what `read` makes of the element inside the body, which it must use up.
///
/// `response` is the name of that element, the method's name with `Response` behind it.
///
/// # Errors
/// When the body is not a SOAP envelope, is malformed, breaks off or exceeds a limit, or when `read` fails.
pub fn decode_envelope<T>(
    d: &mut Decoder,
    response: &'static str,
    read: impl FnOnce(&mut Decoder) -> Result<T, XmlError>,
) -> Result<Result<T, Fault>, XmlError> {
    into(d, "Envelope")?;
    loop {
        step(d, "Body")?;
        match d.name() {
            "Body" => break,
            "Header" => d.skip()?,
            found => {
                let found = format!("<{found}>");
                return Err(d.error(XmlErrorKind::Expected { expected: "Body", found }));
            }
        }
    }
    step(d, response)?;
    let answer = match d.name() {
        "Fault" => Err(Fault::decode(d)?),
        name if name == response => Ok(read(d)?),
        name => {
            let found = format!("<{name}>");
            return Err(d.error(XmlErrorKind::Expected { expected: response, found }));
        }
    };
    // The ends of the body and of the envelope, and nothing behind them.
    for _ in 0..2 {
        d.skip_rest()?;
    }
    d.finish()?;
    Ok(answer)
}

fn step(d: &mut Decoder, expected: &'static str) -> Result<(), XmlError> {
    if d.child()? {
        return Ok(());
    }
    Err(d.error(XmlErrorKind::Expected { expected, found: "nothing".into() }))
}

fn into(d: &mut Decoder, expected: &'static str) -> Result<(), XmlError> {
    step(d, expected)?;
    if d.name() == expected {
        return Ok(());
    }
    let found = format!("<{}>", d.name());
    Err(d.error(XmlErrorKind::Expected { expected, found }))
}
