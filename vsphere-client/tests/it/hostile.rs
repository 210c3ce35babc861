//! Hostile and broken answers: a typed error each time, never a panic, never memory beyond the limits.

use std::io;

use bytes::Bytes;
use proptest::prelude::*;
use vsphere_client::model::ServiceContent;
use vsphere_client::soap::decode_envelope;
use vsphere_client::xml::{Body, Decoder, Limits, XmlError, XmlErrorKind};

const SMALL: Limits = Limits { body: 1 << 20, token: 1 << 16, depth: 32 };

fn decode(bytes: impl Into<Bytes>) -> Result<(), XmlError> {
    let mut d = Decoder::new(Body::complete(bytes.into(), SMALL));
    decode_envelope(&mut d, "RetrieveServiceContentResponse", |d| {
        while d.child()? {
            d.read::<ServiceContent>()?;
        }
        Ok(())
    })
    .map(|_| ())
}

fn wrapped(inside: &str) -> String {
    format!(
        "<Envelope><Body><RetrieveServiceContentResponse><returnval>{inside}</returnval></RetrieveServiceContentResponse></Body></Envelope>"
    )
}

fn kind(text: impl Into<Bytes>) -> XmlErrorKind {
    decode(text).expect_err("a hostile answer was accepted").kind
}

#[test]
fn entities_and_document_types_are_refused() {
    let bomb = "<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\">]>";
    assert!(matches!(kind(format!("{bomb}{}", wrapped(""))), XmlErrorKind::DocumentType));
    let external = "<!DOCTYPE x SYSTEM \"file:///etc/passwd\">";
    assert!(matches!(kind(format!("{external}{}", wrapped(""))), XmlErrorKind::DocumentType));
    let unknown = wrapped("<about><name>&lol2;</name></about>");
    assert!(matches!(kind(unknown), XmlErrorKind::UnknownEntity(name) if name == "lol2"));
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = wrapped(&"<a>".repeat(100_000));
    assert!(matches!(kind(deep), XmlErrorKind::Limit("elements inside elements")));
    let long = wrapped(&format!("<about><name>{}</name></about>", "x".repeat(1 << 17)));
    assert!(matches!(kind(long), XmlErrorKind::Limit("the length of one value")));
    // Many short pieces of one value, each within the bound.
    let pieces = wrapped(&format!("<about><name>{}</name></about>", "xxxxxxxx&amp;".repeat(1 << 15)));
    assert!(matches!(kind(pieces), XmlErrorKind::Limit("the length of one value")));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let (body, feed) = Body::arriving(Bytes::from_static(b"<Envelope><Body><XResponse>"), SMALL);
    let decoding = tokio::task::spawn_blocking(move || {
        decode_envelope(&mut Decoder::new(body), "XResponse", |d| {
            while d.child()? {
                d.skip()?;
            }
            Ok(())
        })
        .map(|_| ())
    });
    let piece = Bytes::from("<a>x</a>".repeat(1000));
    let mut sent = 0_usize;
    while feed.send(Ok(piece.clone())).await {
        sent += piece.len();
        assert!(sent < 16 << 20, "nobody stopped reading");
    }
    let error = decoding.await.unwrap().unwrap_err();
    assert!(matches!(error.kind, XmlErrorKind::Limit("the size of one answer")), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_from_a_broken_answer() {
    let (body, feed) = Body::arriving(Bytes::from_static(b"<Envelope><Bo"), SMALL);
    let decoding = tokio::task::spawn_blocking(move || {
        decode_envelope(&mut Decoder::new(body), "X", |_| Ok(())).map(|_| ())
    });
    assert!(feed.send(Err(io::Error::other("reset by peer"))).await);
    let error = decoding.await.unwrap().unwrap_err();
    assert!(error.is_incomplete(), "{error}");
    assert!(error.to_string().contains("reset by peer"), "{error}");
}

#[test]
fn other_encodings_are_refused() {
    let latin = format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{}", wrapped(""));
    assert!(matches!(kind(latin), XmlErrorKind::Encoding(name) if name == "ISO-8859-1"));
    let utf16: Vec<u8> = wrapped("").encode_utf16().flat_map(u16::to_le_bytes).collect();
    decode(utf16).unwrap_err();
    let mut invalid = wrapped("<about><name>X</name></about>").into_bytes();
    let at = invalid.iter().position(|&b| b == b'X').unwrap();
    invalid[at] = 0xff;
    decode(invalid).unwrap_err();
}

#[test]
fn what_is_not_soap_is_named() {
    assert!(
        matches!(kind("<html><body>Sign in</body></html>"), XmlErrorKind::Expected { expected: "Envelope", found } if found == "<html>")
    );
    assert!(matches!(kind(""), XmlErrorKind::Expected { .. }));
    assert!(matches!(
        kind("<Envelope><Body><LoginResponse/></Body></Envelope>"),
        XmlErrorKind::Expected { .. }
    ));
    assert!(matches!(kind(wrapped("") + "<more/>"), XmlErrorKind::Expected { .. }));
    decode(wrapped("") + "\n<!-- bye -->\n").unwrap();
}

#[test]
fn every_truncation_is_an_error_and_none_panics() {
    let whole = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}",
        wrapped("<about><name>a&amp;ü&#x41;<![CDATA[<b>]]></name></about>")
    );
    decode(whole.clone()).unwrap();
    for end in 0..whole.len() {
        assert!(decode(whole.as_bytes()[..end].to_vec()).is_err(), "cut at {end}");
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(bytes);
    }

    #[test]
    fn any_mutation_decodes_or_fails(at in 0_usize..1000, byte in any::<u8>(), cut in 0_usize..1000) {
        let mut bytes = wrapped("<about><name>a &amp; b</name><apiType x=\"1\">VirtualCenter</apiType></about><rootFolder type=\"Folder\">group-d1</rootFolder>").into_bytes();
        let len = bytes.len();
        bytes[at % len] = byte;
        bytes.remove(cut % len);
        let _ = decode(bytes);
    }

    /// Whatever text people write into a name arrives as they wrote it.
    #[test]
    fn text_survives(text in "\\PC{0,60}") {
        let escaped = quick_xml::escape::escape(text.as_str()).into_owned();
        let mut d = Decoder::new(Body::complete(format!("<a>{escaped}</a>").into(), SMALL));
        prop_assert!(d.child().unwrap());
        prop_assert_eq!(d.text().unwrap(), text.as_str());
    }
}
