//! Any bytes, read as each kind of answer: a value, a fault or an error, never a panic and never more memory than allowed.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vsphere_client::model::{Event, ServiceContent, TaskInfo};
use vsphere_client::property::{decode_retrieve_result, decode_update_set};
use vsphere_client::soap::decode_envelope;
use vsphere_client::xml::{Body, Decoder, FromXml, Limits, XmlError};

const LIMITS: Limits = Limits { body: 1 << 20, token: 1 << 12, depth: 64 };

fn all<T: FromXml>(d: &mut Decoder) -> Result<(), XmlError> {
    while d.child()? {
        d.read::<T>()?;
    }
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    let decoder = || Decoder::new(Body::complete(bytes.clone(), LIMITS));
    let _ = decode_envelope(&mut decoder(), "R", |d| decode_retrieve_result(d, |_, _| Ok(())));
    let _ = decode_envelope(&mut decoder(), "R", |d| decode_update_set(d, |_, _| Ok(())));
    let _ = decode_envelope(&mut decoder(), "R", all::<ServiceContent>);
    let _ = decode_envelope(&mut decoder(), "R", all::<Event>);
    let _ = decode_envelope(&mut decoder(), "R", all::<TaskInfo>);
});
