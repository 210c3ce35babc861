//! `[[vmc]]`: organisations of VMware Cloud on AWS whose SDDCs are followed.

use std::path::PathBuf;

use mappings::selector::Selector;
use url::Url;
use vsphere_client::tls::Thumbprint;

use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{NameFilter, NameFilterKind, Secret, Text, WebUrl};
use super::vcenter::{CA_FILE, EVENTS, NAME, SCOPE, THUMBPRINTS};
use crate::secret::SecretRef;

/// One organisation of VMware Cloud on AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vmc {
    /// Its name here; unique among all `[[vcenter]]` and `[[vmc]]` entries.
    pub name: String,
    /// The organisation's id.
    pub org_id: String,
    /// How to log in.
    pub auth: VmcAuth,
    /// Base address of the Cloud Services Platform, which gives access tokens.
    pub csp_url: Url,
    /// Base address of the VMC service, which lists SDDCs.
    pub vmc_url: Url,
    /// PEM file with certificate authorities to trust for these two besides those of the system. Absolute.
    pub ca_file: Option<PathBuf>,
    /// Certificates of these two to trust by thumbprint. If there are any, nothing else is trusted.
    pub thumbprints: Vec<Thumbprint>,
    /// The SDDCs to connect to, by name.
    pub sddcs: NameFilter,
    /// The VMs that vmbridge is concerned with.
    pub scope: Selector,
    /// Whether tag events are used.
    pub events: bool,
    /// How to connect to the vCenters of the SDDCs.
    pub vcenter: VmcVcenter,
}

/// How to log in to VMware Cloud on AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VmcAuth {
    /// A user's API (refresh) token.
    RefreshToken(SecretRef),
    /// A server-to-server OAuth app.
    OauthApp {
        /// The app's id.
        id: String,
        /// Where the app's secret is.
        secret: SecretRef,
    },
}

/// How to connect to the vCenters of the SDDCs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VmcVcenter {
    /// The account, if not the cloudadmin account that VMC reports with its initial password.
    pub credentials: Option<Credentials>,
    /// PEM file with certificate authorities to trust besides those of the system. Absolute.
    pub ca_file: Option<PathBuf>,
    /// Certificates to trust by thumbprint. If there are any, nothing else is trusted.
    pub thumbprints: Vec<Thumbprint>,
}

/// A user and where the password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account.
    pub username: String,
    /// Where its password is.
    pub password: SecretRef,
}

static ORG_ID: Key<Text> = Key {
    name: "org_id",
    kind: Text,
    need: Need::Required,
    doc: "The organisation's id (the long id, as the console shows it).",
    example: "\"0d3b8e5f-5c1c-4a8e-9d2b-0c6d5a3e7f10\"",
};

static REFRESH_TOKEN: Key<Secret> = Key {
    name: "refresh_token",
    kind: Secret,
    need: Need::Optional,
    doc: "Where a user's API token is. Either this, or `oauth_app_id` and `oauth_app_secret`.",
    example: "{ env = \"VMC_TOKEN\" }",
};

static OAUTH_APP_ID: Key<Text> = Key {
    name: "oauth_app_id",
    kind: Text,
    need: Need::Optional,
    doc: "The id of a server-to-server OAuth app of the organisation. Better than a user's token: it belongs to nobody who may leave.",
    example: "\"vmbridge-reader\"",
};

static OAUTH_APP_SECRET: Key<Secret> = Key {
    name: "oauth_app_secret",
    kind: Secret,
    need: Need::Optional,
    doc: "Where the secret of the OAuth app is.",
    example: "{ ssm_parameter = \"/aws/reference/secretsmanager/vmbridge-oauth\" }",
};

static CSP_URL: Key<WebUrl> = Key {
    name: "csp_url",
    kind: WebUrl,
    need: Need::Default("https://console.cloud.vmware.com"),
    doc: "Base address of the Cloud Services Platform, which gives access tokens.",
    example: "\"https://console.cloud.vmware.com\"",
};

static VMC_URL: Key<WebUrl> = Key {
    name: "vmc_url",
    kind: WebUrl,
    need: Need::Default("https://vmc.vmware.com"),
    doc: "Base address of the VMC service, which lists SDDCs.",
    example: "\"https://vmc.vmware.com\"",
};

static SDDCS: Key<NameFilterKind> = Key {
    name: "sddcs",
    kind: NameFilterKind,
    need: Need::Optional,
    doc: "The SDDCs to connect to, by name. Left out: all.",
    example: "{ include = [\"prod-*\"], exclude = [\"*-lab\"] }",
};

static VCENTER_USERNAME: Key<Text> = Key {
    name: "username",
    kind: Text,
    need: Need::Optional,
    doc: "The account to log in with. Left out: the cloudadmin account that VMC reports, with its initial password.",
    example: "\"vmbridge@vmc.local\"",
};

static VCENTER_PASSWORD: Key<Secret> = Key {
    name: "password",
    kind: Secret,
    need: Need::Optional,
    doc: "Where that account's password is.",
    example: "{ file = \"/etc/vmbridge/vmc-password\" }",
};

static VCENTER: Section = Section {
    name: "vcenter",
    shape: Shape::One,
    doc: "How to connect to the vCenters of the organisation's SDDCs.",
    keys: &[&VCENTER_USERNAME, &VCENTER_PASSWORD, &CA_FILE, &THUMBPRINTS],
    sections: &[],
};

pub(super) static SECTION: Section = Section {
    name: "vmc",
    shape: Shape::Many,
    doc: "An organisation of VMware Cloud on AWS. Its SDDCs are listed again and again; a new one appears in the fleet by itself, named `<name>/<SDDC>`.",
    keys: &[
        &NAME,
        &ORG_ID,
        &REFRESH_TOKEN,
        &OAUTH_APP_ID,
        &OAUTH_APP_SECRET,
        &CSP_URL,
        &VMC_URL,
        &CA_FILE,
        &THUMBPRINTS,
        &SDDCS,
        &SCOPE,
        &EVENTS,
    ],
    sections: &[&VCENTER],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<Vmc> {
    let name = table.get(&NAME);
    let org_id = table.get(&ORG_ID);
    let auth = auth(table);
    let csp_url = table.get(&CSP_URL);
    let vmc_url = table.get(&VMC_URL);
    let ca_file = table.get_optional(&CA_FILE);
    let thumbprints = table.get(&THUMBPRINTS);
    let sddcs = table.get_optional(&SDDCS).unwrap_or_default();
    let scope = table.get(&SCOPE);
    let events = table.get(&EVENTS);
    let vcenter = match table.section(&VCENTER) {
        Some(table) => vcenter(&table),
        None => Some(VmcVcenter::default()),
    };
    Some(Vmc {
        name: name?,
        org_id: org_id?,
        auth: auth?,
        csp_url: csp_url?,
        vmc_url: vmc_url?,
        ca_file,
        thumbprints: thumbprints?,
        sddcs,
        scope: scope?,
        events: events?,
        vcenter: vcenter?,
    })
}

fn auth(table: &TableReader<'_>) -> Option<VmcAuth> {
    let token = table.get_optional(&REFRESH_TOKEN);
    let id = table.get_optional(&OAUTH_APP_ID);
    let secret = table.get_optional(&OAUTH_APP_SECRET);
    let has = |name| table.has(name);
    match (has(REFRESH_TOKEN.name), has(OAUTH_APP_ID.name), has(OAUTH_APP_SECRET.name)) {
        (true, false, false) => token.map(VmcAuth::RefreshToken),
        (false, true, true) => Some(VmcAuth::OauthApp { id: id?, secret: secret? }),
        (false, false, false) => {
            let help = "give `refresh_token`, or both `oauth_app_id` and `oauth_app_secret`";
            table.wrong(REFRESH_TOKEN.name, "there is no way to log in", help);
            None
        }
        (true, _, _) => {
            let help = "keep `refresh_token`, or both `oauth_app_id` and `oauth_app_secret`";
            table.wrong(REFRESH_TOKEN.name, "there are two ways to log in", help);
            None
        }
        (false, true, false) => missing(table, OAUTH_APP_SECRET.name, OAUTH_APP_ID.name),
        (false, false, true) => missing(table, OAUTH_APP_ID.name, OAUTH_APP_SECRET.name),
    }
}

fn vcenter(table: &TableReader<'_>) -> Option<VmcVcenter> {
    let username = table.get_optional(&VCENTER_USERNAME);
    let password = table.get_optional(&VCENTER_PASSWORD);
    let ca_file = table.get_optional(&CA_FILE);
    let thumbprints = table.get(&THUMBPRINTS);
    let credentials = match (table.has(VCENTER_USERNAME.name), table.has(VCENTER_PASSWORD.name)) {
        (true, true) => Some(Credentials { username: username?, password: password? }),
        (false, false) => None,
        (true, false) => return missing(table, VCENTER_PASSWORD.name, VCENTER_USERNAME.name),
        (false, true) => return missing(table, VCENTER_USERNAME.name, VCENTER_PASSWORD.name),
    };
    Some(VmcVcenter { credentials, ca_file, thumbprints: thumbprints? })
}

fn missing<T>(table: &TableReader<'_>, name: &str, because: &str) -> Option<T> {
    table.wrong(name, format!("`{name}` is missing"), format!("`{because}` is of no use without it"));
    None
}
