//! The same bytes in one piece and in many: the same outcome.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vsphere_client::property::{ObjectReport, UpdatePage, decode_update_set};
use vsphere_client::soap::{Fault, decode_envelope};
use vsphere_client::xml::{Body, Decoder, Limits, XmlError};

const LIMITS: Limits = Limits { body: 1 << 20, token: 1 << 12, depth: 64 };

type Outcome = (Result<Result<UpdatePage, Fault>, XmlError>, Vec<ObjectReport>);

fn decode(body: Body) -> Outcome {
    let mut reports = Vec::new();
    let mut keep = |_: &Decoder, report| {
        reports.push(report);
        Ok(())
    };
    (decode_envelope(&mut Decoder::new(body), "R", |d| decode_update_set(d, &mut keep)), reports)
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else { return };
    let whole = decode(Body::complete(Bytes::copy_from_slice(data), LIMITS));
    let pieces = data.chunks(usize::from(size).max(1)).map(Bytes::copy_from_slice).collect();
    let pieces = decode(Body::of_pieces(pieces, LIMITS));
    assert_eq!(whole.1, pieces.1);
    match (whole.0, pieces.0) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        // Which of several mistakes is noticed first may depend on the pieces.
        (Err(_), Err(_)) => {}
        (whole, pieces) => panic!("{whole:?} in one piece, {pieces:?} in many"),
    }
});
