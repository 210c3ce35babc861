//! Addresses and certificates.

use std::net::SocketAddr;

use url::Url;
use vsphere_client::tls::Thumbprint;

use super::super::reader::Cell;
use super::super::schema::Kind;

/// An address and port to listen on.
pub(in super::super) struct Listen;

impl Kind for Listen {
    type Value = SocketAddr;

    fn read(&self, cell: &Cell<'_>) -> Option<SocketAddr> {
        let text = cell.text("\"127.0.0.1:9464\"")?;
        cell.allow();
        match text.parse() {
            Ok(address) => Some(address),
            Err(_) => cell.wrong("not an address with a port", format!("allowed: {}", self.allowed())),
        }
    }

    fn allowed(&self) -> String {
        "a numeric address and a port: `127.0.0.1:9464`, `[::1]:9464`".to_owned()
    }
}

/// The address of a vCenter: `https://` and a host, nothing behind it.
pub(in super::super) struct VcenterUrl;

impl Kind for VcenterUrl {
    type Value = Url;

    fn read(&self, cell: &Cell<'_>) -> Option<Url> {
        let mut url = https(cell, "\"https://vcenter.example.com\"")?;
        match url.path() {
            "/" => {}
            // What people know from other tools and from the browser.
            "/sdk" | "/sdk/" | "/ui" | "/ui/" => url.set_path("/"),
            _ => {
                return cell.wrong(
                    "a vCenter's address has no path",
                    format!("write {}", url.origin().ascii_serialization()),
                );
            }
        }
        Some(url)
    }

    fn allowed(&self) -> String {
        "`https://host` or `https://host:port`".to_owned()
    }
}

/// The base address of a web service.
pub(in super::super) struct WebUrl;

impl Kind for WebUrl {
    type Value = Url;

    fn read(&self, cell: &Cell<'_>) -> Option<Url> {
        https(cell, "\"https://vmc.example.com\"")
    }

    fn allowed(&self) -> String {
        "an `https://` address".to_owned()
    }
}

/// Reads an https address without credentials, query or fragment.
pub(super) fn https(cell: &Cell<'_>, example: &str) -> Option<Url> {
    let text = cell.text(example)?;
    // A password before the host, or a token after `?`, must not be shown.
    if !text.contains(['@', '?', '#']) {
        cell.allow();
    }
    let form = || format!("for example: {example}");
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            return cell.wrong("not an address: `https://` is missing", form());
        }
        Err(error) => return cell.wrong(format!("not an address: {error}"), form()),
    };
    // `url` itself takes `https://@host` for an address without a user.
    let authority = text.split_once("//").map_or("", |(_, rest)| rest).split(['/', '?', '#', '\\']).next();
    if !url.username().is_empty() || url.password().is_some() || authority.unwrap_or("").contains('@') {
        return cell.wrong(
            "an address must not hold a user name or password",
            "use `username` and a `password` that refers to a file, an environment variable or an SSM parameter",
        );
    }
    if url.scheme() != "https" {
        let help = "use https; for a self-signed certificate set `ca_file` or `thumbprints`";
        return cell
            .wrong("only https is accepted: anything else would send the password in the clear", help);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return cell.wrong("an address has neither `?` nor `#` here", form());
    }
    Some(url)
}

/// A list of SHA-256 thumbprints of certificates.
pub(in super::super) struct Thumbprints;

impl Kind for Thumbprints {
    type Value = Vec<Thumbprint>;

    fn read(&self, cell: &Cell<'_>) -> Option<Vec<Thumbprint>> {
        let items = cell.items("[\"AB:CD:…\"]")?;
        let mut thumbprints = Vec::new();
        let mut complete = true;
        for (i, item) in items.iter().enumerate() {
            let cell = cell.inner(item, &format!("[{}]", i + 1));
            match cell.text("\"AB:CD:…\"").map(|text| {
                cell.allow();
                text.parse::<Thumbprint>()
            }) {
                Some(Ok(thumbprint)) => thumbprints.push(thumbprint),
                Some(Err(error)) => {
                    let help = "64 hexadecimal digits with or without colons, as in: openssl x509 -noout -fingerprint -sha256";
                    cell.wrong::<()>(error.to_string(), help);
                    complete = false;
                }
                None => complete = false,
            }
        }
        complete.then_some(thumbprints)
    }

    fn allowed(&self) -> String {
        "a list of SHA-256 thumbprints: 64 hexadecimal digits each, with or without colons".to_owned()
    }
}
