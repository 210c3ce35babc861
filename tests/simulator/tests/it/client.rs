//! A SOAP client of a few lines, for tests only: it sends what it is told and shows the answer as text.

use std::sync::Once;

use vmbridge_simulator::Vcenter;

/// The answer to a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The texts of all elements called `tag` (attributes ignored, nested elements left in).
    pub(crate) fn all(&self, tag: &str) -> Vec<&str> {
        let close = format!("</{tag}>");
        let mut out = Vec::new();
        for open in [format!("<{tag}>"), format!("<{tag} ")] {
            let mut rest = self.body.as_str();
            while let Some(at) = rest.find(&open) {
                rest = &rest[at..];
                let Some(start) = rest.find('>') else { break };
                rest = &rest[start + 1..];
                let Some(end) = rest.find(&close) else { break };
                out.push(&rest[..end]);
                rest = &rest[end..];
            }
        }
        out
    }

    pub(crate) fn first(&self, tag: &str) -> Option<&str> {
        self.all(tag).into_iter().next()
    }

    /// Name of the fault, when it is one.
    pub(crate) fn fault(&self) -> Option<&str> {
        let detail = self.first("detail")?;
        detail.strip_prefix('<')?.split([' ', '>']).next()?.strip_suffix("Fault")
    }
}

/// A client of one vCenter.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) cookie: Option<String>,
    pub(crate) version: String,
}

/// An HTTP client that trusts the simulator.
pub(crate) fn http(ca_pem: &str) -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
    let ca = reqwest::Certificate::from_pem(ca_pem.as_bytes()).unwrap();
    reqwest::Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap()
}

impl Client {
    pub(crate) fn new(vcenter: &Vcenter) -> Self {
        Self {
            http: http(&vcenter.ca_pem()),
            url: vcenter.url(),
            cookie: None,
            version: "8.0.2.0".to_owned(),
        }
    }

    pub(crate) async fn logged_in(vcenter: &Vcenter) -> Self {
        let mut client = Self::new(vcenter);
        let answer = client.login(vcenter.username(), vcenter.password()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        client
    }

    pub(crate) async fn login(&mut self, user: &str, password: &str) -> Answer {
        let inner = format!(
            "<_this type=\"SessionManager\">SessionManager</_this><userName>{user}</userName><password>{password}</password>"
        );
        let response = self.send(&envelope("Login", &inner)).await.unwrap();
        let cookie = response
            .headers()
            .get("set-cookie")
            .map(|c| c.to_str().unwrap().split(';').next().unwrap().to_owned());
        self.cookie = cookie.or(self.cookie.take());
        Answer { status: response.status().as_u16(), body: response.text().await.unwrap() }
    }

    pub(crate) async fn send(&self, body: &str) -> reqwest::Result<reqwest::Response> {
        let mut request = self
            .http
            .post(format!("{}/sdk", self.url))
            .header("content-type", "text/xml; charset=utf-8")
            .header("soapaction", format!("urn:vim25/{}", self.version));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        request.body(body.to_owned()).send().await
    }

    /// Calls a method on an object given as `Type:value`.
    pub(crate) async fn call(&self, method: &str, this: &str, arguments: &str) -> Answer {
        self.try_call(method, this, arguments).await.unwrap()
    }

    pub(crate) async fn try_call(
        &self,
        method: &str,
        this: &str,
        arguments: &str,
    ) -> reqwest::Result<Answer> {
        let (type_name, value) = this.split_once(':').unwrap_or((this, this));
        let inner = format!("<_this type=\"{type_name}\">{value}</_this>{arguments}");
        let response = self.send(&envelope(method, &inner)).await?;
        Ok(Answer { status: response.status().as_u16(), body: response.text().await? })
    }

    /// A container view of everything, as the fleet uses it.
    pub(crate) async fn view(&self, types: &[&str]) -> String {
        let root = self.call("RetrieveServiceContent", "ServiceInstance", "").await;
        let root = root.first("rootFolder").unwrap().to_owned();
        let types: String = types.iter().map(|t| format!("<type>{t}</type>")).collect();
        let arguments =
            format!("<container type=\"Folder\">{root}</container>{types}<recursive>true</recursive>");
        let answer = self.call("CreateContainerView", "ViewManager", &arguments).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.first("returnval").unwrap().to_owned()
    }
}

pub(crate) fn envelope(method: &str, inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>\
         <{method} xmlns=\"urn:vim25\">{inner}</{method}></soapenv:Body></soapenv:Envelope>"
    )
}

/// One property set.
pub(crate) fn props(type_name: &str, paths: &[&str]) -> String {
    let paths: String = paths.iter().map(|p| format!("<pathSet>{p}</pathSet>")).collect();
    format!("<propSet><type>{type_name}</type><all>false</all>{paths}</propSet>")
}

/// The object set that walks a view.
pub(crate) fn over_view(view: &str) -> String {
    format!(
        "<objectSet><obj type=\"ContainerView\">{view}</obj><skip>true</skip>\
         <selectSet xsi:type=\"TraversalSpec\"><name>view</name><type>ContainerView</type><path>view</path>\
         <skip>false</skip></selectSet></objectSet>"
    )
}

pub(crate) const COLLECTOR: &str = "PropertyCollector:propertyCollector";

/// Every VM path of the contract.
pub(crate) const VM_PATHS: &[&str] = &[
    "name",
    "parent",
    "parentVApp",
    "config.uuid",
    "config.instanceUuid",
    "config.template",
    "config.guestId",
    "config.guestFullName",
    "config.annotation",
    "config.version",
    "config.firmware",
    "config.createDate",
    "config.managedBy",
    "config.ftInfo",
    "config.hardware.numCPU",
    "config.hardware.numCoresPerSocket",
    "config.hardware.memoryMB",
    "config.hardware.device",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
    "runtime.consolidationNeeded",
    "runtime.bootTime",
    "guest.toolsRunningStatus",
    "guest.toolsVersionStatus2",
    "guest.toolsVersion",
    "guest.guestFamily",
    "guest.guestId",
    "guest.guestFullName",
    "guest.guestState",
    "guest.guestOperationsReady",
    "guest.hostName",
    "guest.ipAddress",
    "guest.net",
    "datastore",
    "network",
    "resourcePool",
    "snapshot",
    "customValue",
];

/// All property sets of the contract.
pub(crate) fn all_props() -> String {
    [
        props("VirtualMachine", VM_PATHS),
        props(
            "HostSystem",
            &[
                "name",
                "parent",
                "summary.config.product",
                "summary.hardware.vendor",
                "summary.hardware.model",
                "summary.hardware.uuid",
                "summary.hardware.numCpuCores",
                "summary.hardware.memorySize",
                "runtime.connectionState",
                "runtime.powerState",
                "runtime.inMaintenanceMode",
                "datastore",
                "customValue",
            ],
        ),
        props("ComputeResource", &["name", "parent", "host"]),
        props(
            "Datastore",
            &[
                "name",
                "parent",
                "summary.type",
                "summary.capacity",
                "summary.freeSpace",
                "summary.accessible",
                "summary.maintenanceMode",
                "host",
            ],
        ),
        props("Datacenter", &["name", "parent"]),
        props("Folder", &["name", "parent"]),
        props("ResourcePool", &["name", "parent", "owner"]),
        props("VirtualApp", &["name", "parent", "owner", "parentFolder"]),
        props("Network", &["name"]),
        props("CustomFieldsManager", &["field"]),
    ]
    .concat()
}

pub(crate) const ALL_TYPES: &[&str] = &[
    "VirtualMachine",
    "HostSystem",
    "ComputeResource",
    "Datastore",
    "Datacenter",
    "Folder",
    "ResourcePool",
    "Network",
];

pub(crate) const FIELDS: &str =
    "<objectSet><obj type=\"CustomFieldsManager\">CustomFieldsManager</obj></objectSet>";
