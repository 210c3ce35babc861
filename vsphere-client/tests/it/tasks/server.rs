//! A server that answers what it is told to: what no simulator says, and what no honest server says.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use vsphere_client::tls::{Thumbprint, TlsTrust};
use vsphere_client::vcenter::{ConnectOptions, Vcenter};
use vsphere_client::xml::Limits;

/// What is inside the response element, or a fault.
#[derive(Clone)]
enum Answer {
    Inside(String),
    Fault(String),
}

#[derive(Default)]
struct Script {
    answers: HashMap<&'static str, VecDeque<Answer>>,
    requests: Vec<(String, String)>,
}

/// The server. It makes a session for everybody, and answers a wait only when there is an answer to it.
pub(super) struct Server {
    address: SocketAddr,
    thumbprint: Thumbprint,
    script: Arc<Mutex<Script>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let der = certificate.der().clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![der.clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::<Mutex<Script>>::default();
        let shared = script.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), stream, shared.clone()));
            }
        });
        Self { address, thumbprint: Thumbprint::of(&der), script }
    }

    pub(super) fn client(&self) -> Vcenter {
        let trust = TlsTrust { pins: vec![self.thumbprint], ..TlsTrust::default() };
        let url = format!("https://localhost:{}", self.address.port()).parse().unwrap();
        let mut options = ConnectOptions::new(url, "user".into(), SecretString::from("secret"), trust);
        options.limits = Limits { token: 1 << 16, ..Limits::default() };
        Vcenter::new(options).unwrap()
    }

    /// Answers one call of this method like this.
    pub(super) fn answer(&self, method: &'static str, inside: impl Into<String>) {
        let answer = Answer::Inside(inside.into());
        self.script.lock().unwrap().answers.entry(method).or_default().push_back(answer);
    }

    /// Refuses one call of this method with a fault of this type.
    pub(super) fn refuse(&self, method: &'static str, fault: &str, inside: &str) {
        let answer = Answer::Fault(format!(
            "<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>no</faultstring>\
             <detail><{fault}Fault xsi:type=\"{fault}\">{inside}</{fault}Fault></detail></soapenv:Fault>"
        ));
        self.script.lock().unwrap().answers.entry(method).or_default().push_back(answer);
    }

    /// The requests of this method so far, each as what is inside its element.
    pub(super) fn requests(&self, method: &str) -> Vec<String> {
        let script = self.script.lock().unwrap();
        script.requests.iter().filter(|(name, _)| name == method).map(|(_, inside)| inside.clone()).collect()
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, script: Arc<Mutex<Script>>) -> Option<()> {
    let mut tls = acceptor.accept(stream).await.ok()?;
    let mut request = Vec::new();
    let body = loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                break body.to_owned();
            }
        }
        if tls.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    };
    let (status, answer) = match method_of(&body) {
        None => ("200 OK", VERSIONS.to_owned()),
        Some((method, inside)) => {
            script.lock().unwrap().requests.push((method.clone(), inside));
            let answer = reply(&method, &script).await;
            let (status, inside) = match answer {
                Answer::Inside(inside) => {
                    let inside = format!("<{method}Response xmlns=\"urn:vim25\">{inside}</{method}Response>");
                    ("200 OK", inside)
                }
                Answer::Fault(fault) => ("500 Internal Server Error", fault),
            };
            let envelope = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
                 xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
                 xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>{inside}</soapenv:Body></soapenv:Envelope>"
            );
            (status, envelope)
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nSet-Cookie: vmware_soap_session=\"s\"; Path=/\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        answer.len()
    );
    tls.write_all(head.as_bytes()).await.ok()?;
    tls.write_all(answer.as_bytes()).await.ok()?;
    tls.shutdown().await.ok()
}

/// The method that a request calls, and what is inside its element.
fn method_of(body: &str) -> Option<(String, String)> {
    let (_, call) = body.split_once("<soapenv:Body><")?;
    let (tag, rest) = call.split_once('>')?;
    let method = tag.split(' ').next()?.to_owned();
    let inside = rest.split_once(&format!("</{method}>"))?.0.to_owned();
    Some((method, inside))
}

async fn reply(method: &str, script: &Mutex<Script>) -> Answer {
    let inside = match method {
        "RetrieveServiceContent" => CONTENT,
        "Login" => "<returnval><key>k</key><userName>user</userName></returnval>",
        _ => loop {
            if let Some(answer) = script.lock().unwrap().answers.get_mut(method).and_then(VecDeque::pop_front)
            {
                return answer;
            }
            match method {
                "WaitForUpdatesEx" => tokio::time::sleep(Duration::from_millis(10)).await,
                "CreateListView" => break "<returnval type=\"ListView\">list</returnval>",
                "CreatePropertyCollector" => break "<returnval type=\"PropertyCollector\">own</returnval>",
                "CreateFilter" => break "<returnval type=\"PropertyFilter\">filter</returnval>",
                _ => break "",
            }
        },
    };
    Answer::Inside(inside.to_owned())
}

const VERSIONS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" ?><namespaces version=\"1.0\"><namespace>\
    <name>urn:vim25</name><version>8.0.2.0</version></namespace></namespaces>";

const CONTENT: &str = "<returnval><rootFolder type=\"Folder\">group-d1</rootFolder>\
    <propertyCollector type=\"PropertyCollector\">propertyCollector</propertyCollector>\
    <viewManager type=\"ViewManager\">ViewManager</viewManager>\
    <about><name>VMware vCenter Server</name><apiType>VirtualCenter</apiType><apiVersion>8.0.2.0</apiVersion></about>\
    <sessionManager type=\"SessionManager\">SessionManager</sessionManager></returnval>";
