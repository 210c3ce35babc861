//! The ESXi hosts that files go over, and why they are trusted.
//!
//! A host shows a certificate that usually no authority made. It is trusted because vCenter, which manages the host, says that
//! this certificate is the host's (`HostSystem.config.certificate`). Where vCenter does not say it, the certificate has to come
//! from an authority that is trusted for the vCenter, and the address has to be the name that vCenter has for the host.
//! The SHA-1 thumbprint that vCenter also tells (`summary.config.sslThumbprint`) can be forged, so it is not asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::super::object::properties_of;
use super::super::{Session, Vcenter};
use super::each_property;
use crate::error::Error;
use crate::ids::MoRef;
use crate::soap::operation;
use crate::tls::Thumbprint;
use crate::xml::{Decoder, XmlError};

/// The most bytes of a certificate that are read.
const LONGEST_CERTIFICATE: usize = 64 << 10;

/// What vCenter tells of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostIdentity {
    /// The name by which vCenter manages it: a DNS name or an address.
    pub(super) name: String,
    /// Its certificate's thumbprint.
    pub(super) certificate: Option<Thumbprint>,
}

/// The hosts that were asked about. There are as many at most as the vCenter has.
#[derive(Debug, Default)]
pub(in super::super) struct Hosts(Mutex<HashMap<MoRef, Arc<HostIdentity>>>);

impl Hosts {
    fn get(&self, host: &MoRef) -> Option<Arc<HostIdentity>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }

    fn keep(&self, host: &MoRef, identity: Arc<HostIdentity>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone(), identity);
    }
}

impl Vcenter {
    /// What vCenter tells of a host, asked once, or again when that turned out to be wrong.
    pub(super) async fn host_identity(
        &self,
        host: &MoRef,
        again: bool,
    ) -> Result<Option<Arc<HostIdentity>>, Error> {
        if let Some(known) = self.inner.hosts.get(host).filter(|_| !again) {
            return Ok(Some(known));
        }
        let request = |session: &Session| properties_of(session, host, &["name", "config.certificate"]);
        let found = self.call(operation!("RetrievePropertiesEx"), request, identity).await?;
        let Some(identity) = found.map(Arc::new) else { return Ok(None) };
        // Without a certificate it is asked again next time: it may be told once the host is connected.
        if identity.certificate.is_some() {
            self.inner.hosts.keep(host, identity.clone());
        }
        Ok(Some(identity))
    }

    /// The host that a VM is on at this moment (`runtime.host`).
    pub(super) async fn host_of_vm(&self, vm: &MoRef) -> Result<Option<MoRef>, Error> {
        let request = |session: &Session| properties_of(session, vm, &["runtime.host"]);
        self.call(operation!("RetrievePropertiesEx"), request, running_host).await
    }
}

fn running_host(d: &mut Decoder) -> Result<Option<MoRef>, XmlError> {
    let mut host = None;
    each_property(d, &mut |d, path| {
        if path == "runtime.host" {
            host = Some(d.read()?);
            return Ok(());
        }
        d.skip()
    })?;
    Ok(host)
}

fn identity(d: &mut Decoder) -> Result<Option<HostIdentity>, XmlError> {
    let (mut name, mut bytes) = (None, Vec::new());
    each_property(d, &mut |d, path| {
        match path {
            "name" => name = Some(d.read::<String>()?),
            "config.certificate" => {
                bytes.clear();
                // Each byte is an element of its own, and has a sign.
                while d.child()? {
                    let byte: i32 = d.read()?;
                    bytes
                        .extend(u8::try_from(byte & 0xff).ok().filter(|_| bytes.len() < LONGEST_CERTIFICATE));
                }
            }
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(name.map(|name| HostIdentity { name, certificate: thumbprint(&bytes) }))
}

/// The thumbprint of a certificate in PEM form, or in DER form.
fn thumbprint(bytes: &[u8]) -> Option<Thumbprint> {
    // A certificate in DER form is a sequence.
    if bytes.first() == Some(&0x30) {
        return Some(Thumbprint::of(&CertificateDer::from(bytes)));
    }
    CertificateDer::from_pem_slice(bytes).ok().map(|certificate| Thumbprint::of(&certificate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Body, Limits};

    fn read(properties: &str) -> Result<Option<HostIdentity>, XmlError> {
        let xml = format!(
            "<r xmlns:xsi=\"x\"><returnval><objects><obj type=\"HostSystem\">host-1</obj>{properties}</objects></returnval></r>"
        );
        let mut decoder = Decoder::new(Body::complete(xml.into(), Limits::default()));
        assert!(decoder.child().unwrap());
        identity(&mut decoder)
    }

    fn certificate(bytes: &[u8]) -> String {
        let bytes: String = bytes.iter().map(|byte| format!("<byte>{}</byte>", byte.cast_signed())).collect();
        let name = "<propSet><name>name</name><val xsi:type=\"xsd:string\">esx01.example.com</val></propSet>";
        format!(
            "{name}<propSet><name>config.certificate</name><val xsi:type=\"ArrayOfByte\">{bytes}</val></propSet>"
        )
    }

    #[test]
    fn a_certificate_is_known_in_either_form() {
        // Not a certificate, but what is compared is the whole of the bytes.
        let der = [0x30, 0x82, 0xff, 0x00, 0x7f];
        let expected = Thumbprint::of(&CertificateDer::from(&der[..]));
        let pem = "-----BEGIN CERTIFICATE-----\nMIL/AH8=\n-----END CERTIFICATE-----\n";
        for bytes in [&der[..], pem.as_bytes()] {
            let found = read(&certificate(bytes)).unwrap().unwrap();
            assert_eq!(found.certificate, Some(expected));
            assert_eq!(found.name, "esx01.example.com");
        }
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        for bytes in [&b""[..], b"hello", b"-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n"] {
            assert_eq!(read(&certificate(bytes)).unwrap().unwrap().certificate, None);
        }
        assert_eq!(read("").unwrap(), None);
        let endless = vec![b'A'; LONGEST_CERTIFICATE + 10];
        assert_eq!(read(&certificate(&endless)).unwrap().unwrap().certificate, None);
        assert!(
            read("<propSet><name>config.certificate</name><val><byte>many</byte></val></propSet>").is_err()
        );
    }
}
