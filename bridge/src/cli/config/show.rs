//! The effective configuration as TOML.
//!
//! Reading the text gives the same configuration again, so that it can be compared, kept and asked about.

use std::fmt::{Display, Write};
use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use mappings::selector::Selector;

use crate::config::{Config, Credentials, LogFormat, NameFilter, Vcenter, Vmc, VmcAuth, VmcVcenter};
use crate::secret::{SecretRef, SecretSource};

/// The text of `config`, each setting written out.
pub(super) fn toml(config: &Config) -> String {
    let mut out = Toml(String::new());
    config.vcenters.iter().for_each(|vcenter| out.vcenter(vcenter));
    config.vmc.iter().for_each(|vmc| out.vmc(vmc));
    // Naming every field makes a new setting that is forgotten here an error.
    let crate::config::Limits {
        max_concurrent_reads,
        page_size,
        connect_timeout,
        request_timeout,
        max_retry_delay,
        stale_after,
        tags_full_refresh,
        sddc_refresh,
    } = &config.limits;
    out.table("[limits]");
    out.bare("max_concurrent_reads", max_concurrent_reads);
    out.bare("page_size", page_size);
    out.duration("connect_timeout", *connect_timeout);
    out.duration("request_timeout", *request_timeout);
    out.duration("max_retry_delay", *max_retry_delay);
    out.duration("stale_after", *stale_after);
    out.duration("tags_full_refresh", *tags_full_refresh);
    out.duration("sddc_refresh", *sddc_refresh);
    let crate::config::Log { level, format } = &config.log;
    out.table("[log]");
    out.text("level", level);
    out.text(
        "format",
        match format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        },
    );
    let crate::config::Http { listen } = &config.http;
    out.table("[http]");
    out.text("listen", &listen.to_string());
    if !listen.ip().is_loopback() {
        out.bare("allow_remote", true);
    }
    out.0
}

struct Toml(String);

impl Toml {
    fn vcenter(&mut self, vcenter: &Vcenter) {
        let Vcenter { name, url, username, password, ca_file, thumbprints, scope, events } = vcenter;
        self.table("[[vcenter]]");
        self.text("name", name);
        self.text("url", url.as_str());
        self.text("username", username);
        self.secret("password", password);
        self.trust(ca_file.as_deref(), thumbprints);
        self.scope(scope);
        self.bare("events", events);
    }

    fn vmc(&mut self, vmc: &Vmc) {
        let Vmc { name, org_id, auth, csp_url, vmc_url, ca_file, thumbprints, sddcs, scope, events, vcenter } =
            vmc;
        self.table("[[vmc]]");
        self.text("name", name);
        self.text("org_id", org_id);
        match auth {
            VmcAuth::RefreshToken(token) => self.secret("refresh_token", token),
            VmcAuth::OauthApp { id, secret } => {
                self.text("oauth_app_id", id);
                self.secret("oauth_app_secret", secret);
            }
        }
        self.text("csp_url", csp_url.as_str());
        self.text("vmc_url", vmc_url.as_str());
        self.trust(ca_file.as_deref(), thumbprints);
        let NameFilter { include, exclude } = sddcs;
        let list = |patterns: &[mappings::glob::NamePattern]| {
            list(patterns.iter().map(|pattern| quoted(pattern.as_str())))
        };
        self.bare("sddcs", format_args!("{{ include = {}, exclude = {} }}", list(include), list(exclude)));
        self.scope(scope);
        self.bare("events", events);
        let VmcVcenter { credentials, ca_file, thumbprints } = vcenter;
        self.table("[vmc.vcenter]");
        if let Some(Credentials { username, password }) = credentials {
            self.text("username", username);
            self.secret("password", password);
        }
        self.trust(ca_file.as_deref(), thumbprints);
    }

    fn trust(&mut self, ca_file: Option<&Path>, thumbprints: &[vsphere_client::tls::Thumbprint]) {
        if let Some(path) = ca_file {
            self.text("ca_file", &path.to_string_lossy());
        }
        self.bare("thumbprints", list(thumbprints.iter().map(|thumbprint| quoted(&thumbprint.to_string()))));
    }

    fn scope(&mut self, scope: &Selector) {
        self.text("scope", &scope.to_string());
    }

    fn secret(&mut self, key: &str, secret: &SecretRef) {
        let reference = match secret.source() {
            SecretSource::File(path) => format!("file = {}", quoted(&path.to_string_lossy())),
            SecretSource::Env(variable) => format!("env = {}", quoted(variable)),
            SecretSource::SsmParameter { name, field, region, endpoint } => {
                let mut reference = format!("ssm_parameter = {}", quoted(name));
                if let Some(field) = field {
                    put(&mut reference, format_args!(", field = {}", quoted(field)));
                }
                if let Some(region) = region {
                    put(&mut reference, format_args!(", region = {}", quoted(region)));
                }
                if let Some(endpoint) = endpoint {
                    put(&mut reference, format_args!(", endpoint = {}", quoted(endpoint.as_str())));
                }
                reference
            }
        };
        self.bare(key, format_args!("{{ {reference} }}"));
    }

    fn table(&mut self, heading: &str) {
        put(&mut self.0, format_args!("\n{heading}\n"));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.bare(key, quoted(value));
    }

    fn duration(&mut self, key: &str, value: Duration) {
        let value = SignedDuration::try_from(value).unwrap_or(SignedDuration::MAX);
        self.text(key, &format!("{value:#}"));
    }

    fn bare(&mut self, key: &str, value: impl Display) {
        put(&mut self.0, format_args!("{key} = {value}\n"));
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A TOML string. JSON escapes a subset of what TOML does, in the same way, but for one character.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    const FULL: &str = r#"
        [[vcenter]]
        name = "dc1"
        url = "https://vc.example.com:8443"
        username = "DOMAIN\\vm\"bridge"
        password = { ssm_parameter = "/a/b", field = "password", region = "eu-central-1", endpoint = "https://ssm.example.com" }
        thumbprints = ["4E:57:EA:50:F2:90:74:26:82:C3:51:9D:D5:8B:6B:FE:6D:5F:0A:66:5A:25:D0:DA:C0:58:4A:9E:1E:BC:04:31"]
        scope = "folder=/Prod/** and tag='Env:a b' except name=*-test"
        events = false

        [[vcenter]]
        name = "dc2"
        url = "https://10.0.0.1"
        username = "u"
        password = { env = "DC2_PASSWORD" }
        ca_file = "/etc/ca.pem"

        [[vmc]]
        name = "cloud"
        org_id = "o"
        oauth_app_id = "app"
        oauth_app_secret = { file = "/etc/secret" }
        sddcs = { include = ["prod-*"], exclude = ["*-lab"] }
        [vmc.vcenter]
        username = "u"
        password = { file = "/etc/other" }

        [limits]
        stale_after = "1h 30m"

        [log]
        level = "info,vsphere_client=debug"
        format = "json"

        [http]
        listen = "0.0.0.0:80"
        allow_remote = true
    "#;

    #[test]
    fn what_is_shown_reads_as_the_same_configuration() {
        let read = |text: &str| parse(text, Path::new("/etc/vmbridge.toml"), &Environment::default());
        let config = read(FULL).unwrap();
        let shown = toml(&config);
        assert_eq!(read(&shown).unwrap_or_else(|errors| panic!("{errors}\n{shown}")), config);
        insta::assert_snapshot!(shown);
    }
}
