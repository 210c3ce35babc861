//! Any bytes, read as the announcement of versions.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vsphere_client::soap::ServiceVersions;

fuzz_target!(|data: &[u8]| {
    if let Ok(versions) = ServiceVersions::decode(Bytes::copy_from_slice(data)) {
        let _ = versions.newest_common();
    }
});
