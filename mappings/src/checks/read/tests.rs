use super::*;

/// A value of the wire, by hand.
#[derive(Default)]
struct Node {
    text: Option<String>,
    kind: Option<&'static str>,
    children: Vec<(&'static str, Node)>,
}

impl Tree for &Node {
    fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    fn type_name(&self) -> Option<&str> {
        self.kind
    }

    fn children(&self, each: &mut dyn FnMut(&str, Self)) {
        for (name, child) in &self.children {
            each(name, child);
        }
    }
}

fn leaf(text: &str) -> Node {
    Node { text: Some(text.to_owned()), ..Node::default() }
}

fn record(children: Vec<(&'static str, Node)>) -> Node {
    Node { children, ..Node::default() }
}

fn list(kind: &'static str, children: Vec<(&'static str, Node)>) -> Node {
    Node { kind: Some(kind), children, ..Node::default() }
}

fn field(text: &str) -> FieldPath {
    FieldPath::new(text).unwrap()
}

fn taken(pick: Pick, node: &Node) -> Reading {
    Read { path: "config.anything".into(), pick }.take(node)
}

fn one(text: &str) -> Reading {
    Reading::One(text.into())
}

fn many(texts: &[&str]) -> Reading {
    Reading::Many(texts.iter().map(|text| (*text).into()).collect())
}

fn option(key: &str, value: &str) -> (&'static str, Node) {
    ("OptionValue", record(vec![("key", leaf(key)), ("value", leaf(value))]))
}

#[test]
fn whole_values_are_leaves_lists_of_leaves_and_whether_a_record_is_set() {
    assert_eq!(taken(Pick::Whole, &leaf("efi")), one("efi"));
    let strings = list("ArrayOfString", vec![("string", leaf("a")), ("string", leaf("b"))]);
    assert_eq!(taken(Pick::Whole, &strings), many(&["a", "b"]));
    assert_eq!(taken(Pick::Whole, &list("ArrayOfString", vec![])), Reading::Missing);
    let nested = Node { kind: Some("CryptoKeyId"), ..record(vec![("providerId", record(vec![]))]) };
    assert_eq!(taken(Pick::Whole, &nested), one("CryptoKeyId"));
}

#[test]
fn fields_are_within_records_and_never_of_lists() {
    let policy = || record(vec![("allowPromiscuous", record(vec![("value", leaf("false"))]))]);
    let port = record(vec![("securityPolicy", policy()), ("other", leaf("x"))]);
    let pick = || Pick::Field(field("securityPolicy.allowPromiscuous.value"));
    assert_eq!(taken(pick(), &port), one("false"));
    assert_eq!(taken(pick(), &record(vec![("securityPolicy", record(vec![]))])), Reading::Missing);
    assert_eq!(taken(pick(), &list("ArrayOfPort", vec![("Port", port)])), Reading::Unreadable);
    let ranges = record(vec![
        ("vlanId", record(vec![("start", leaf("0")), ("end", leaf("9"))])),
        ("vlanId", record(vec![("start", leaf("20")), ("end", leaf("29"))])),
    ]);
    assert_eq!(taken(Pick::Field(field("vlanId.start")), &ranges), many(&["0", "20"]));
}

#[test]
fn elements_with_a_key_are_found_in_any_case_and_once() {
    let pick = |keys: &[&str]| Pick::Keyed {
        keys: keys.iter().map(|key| Box::from(*key)).collect(),
        field: field("value"),
    };
    let options = list(
        "ArrayOfOptionValue",
        vec![option("A.b", "1"), option("c", "2"), option("a.B", "3"), option("d", "")],
    );
    assert_eq!(taken(pick(&["a.b"]), &options), one("1"));
    assert_eq!(taken(pick(&["x", "C", "A.B"]), &options), many(&["1", "2"]));
    assert_eq!(taken(pick(&["d"]), &options), one(""));
    assert_eq!(taken(pick(&["e"]), &options), Reading::Missing);
    let odd = list("ArrayOfOptionValue", vec![("OptionValue", record(vec![("value", leaf("1"))]))]);
    assert_eq!(taken(pick(&["a"]), &odd), Reading::Missing);
}

#[test]
fn elements_are_counted_and_chosen_by_type_and_by_a_field() {
    let drive = |kind, connected: &str| {
        let connectable = record(vec![("connected", leaf(connected))]);
        ("VirtualDevice", Node { kind: Some(kind), ..record(vec![("connectable", connectable)]) })
    };
    let devices = list(
        "ArrayOfVirtualDevice",
        vec![drive("VirtualCdrom", "true"), drive("VirtualCdrom", "false"), drive("VirtualFloppy", "TRUE")],
    );
    let pick = |types: &[&str], only: bool, take| Pick::Elements {
        types: types.iter().map(|name| Box::from(*name)).collect(),
        only: only.then(|| (field("connectable.connected"), "true".into())),
        take,
    };
    let each = || Take::Field(field("connectable.connected"));
    assert_eq!(taken(pick(&["VirtualCdrom"], false, Take::Count), &devices), one("2"));
    assert_eq!(taken(pick(&["VirtualCdrom"], true, Take::Count), &devices), one("1"));
    assert_eq!(taken(pick(&[], true, Take::Count), &devices), one("2"));
    assert_eq!(taken(pick(&["VirtualUSB"], false, Take::Count), &devices), one("0"));
    assert_eq!(taken(pick(&[], false, each()), &devices), many(&["true", "false", "TRUE"]));
    assert_eq!(taken(pick(&["VirtualUSB"], false, each()), &devices), Reading::Missing);
}

/// Half a value could be judged wrongly.
#[test]
fn too_much_is_not_known() {
    assert_eq!(taken(Pick::Whole, &leaf(&"x".repeat(4096))), one(&"x".repeat(4096)));
    assert_eq!(taken(Pick::Whole, &leaf(&"x".repeat(4097))), Reading::Unreadable);
    let items = |count| list("ArrayOfString", (0..count).map(|_| ("string", leaf("x"))).collect());
    assert_eq!(taken(Pick::Whole, &items(1024)).values().len(), 1024);
    assert_eq!(taken(Pick::Whole, &items(1025)), Reading::Unreadable);
}

#[test]
fn the_age_of_a_build_is_looked_up() {
    let product = |build: &str| record(vec![("version", leaf("8.0.3")), ("build", leaf(build))]);
    assert_eq!(taken(Pick::BuildReleased, &product("24784735")), one("2025-07-15T00:00:00Z"));
    assert_eq!(taken(Pick::BuildReleased, &product("99999999")), Reading::Missing);
    assert_eq!(taken(Pick::BuildReleased, &leaf("8.0.3")), Reading::Missing);
}

const PEM: &str = "\
-----BEGIN CERTIFICATE-----
MIIBIjCByaADAgECAgEHMAoGCCqGSM49BAMCMBsxGTAXBgNVBAMMEGVzeDEuZXhh
bXBsZS5jb20wHhcNMjUxMjEwMDAwMDAwWhcNMzYwMTAxMDAwMDAwWjAbMRkwFwYD
VQQDDBBlc3gxLmV4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
XHiup/lBnA18rLctU1P/6S2JtRKzSqkdyiY30rB8eqQtuf/l32mcF64I+ZuqpLW2
+AepToQErh2Nf05eLjikYTAKBggqhkjOPQQDAgNIADBFAiEAl/y8CB9u55DSNlqe
udaMJdQhBMYuG4p4PSLOVswqoHoCIFHxeizEOkJVFHCNiTUnkrhX4BO7im4E6sS9
RGmLh+PR
-----END CERTIFICATE-----
";

/// vCenter sends a certificate as a list of bytes with signs.
#[test]
fn the_end_of_a_certificate_is_read_from_its_bytes() {
    let bytes = |bytes: &[u8]| {
        let byte = |byte: &u8| ("byte", leaf(&byte.cast_signed().to_string()));
        list("ArrayOfByte", bytes.iter().map(byte).collect())
    };
    let end = one("2036-01-01T00:00:00Z");
    assert_eq!(taken(Pick::CertificateEnd, &bytes(PEM.as_bytes())), end);
    assert_eq!(taken(Pick::CertificateEnd, &leaf(PEM)), end);
    let (_, pem) = x509_parser::pem::parse_x509_pem(PEM.as_bytes()).unwrap();
    assert_eq!(taken(Pick::CertificateEnd, &bytes(&pem.contents)), end);
    assert_eq!(taken(Pick::CertificateEnd, &bytes(&[])), Reading::Missing);
    for bad in [bytes(&PEM.as_bytes()[..200]), bytes(b"hello"), leaf("hello")] {
        assert_eq!(taken(Pick::CertificateEnd, &bad), Reading::Unreadable);
    }
    let odd = list("ArrayOfByte", vec![("byte", leaf("300"))]);
    assert_eq!(taken(Pick::CertificateEnd, &odd), Reading::Unreadable);
}

#[test]
fn reads_are_said_in_words() {
    let keyed = |field_name: &str, keys: &[&str]| Pick::Keyed {
        keys: keys.iter().map(|key| Box::from(*key)).collect(),
        field: field(field_name),
    };
    let elements = |take| Pick::Elements {
        types: ["VirtualCdrom".into()].into(),
        only: Some((field("connectable.connected"), "true".into())),
        take,
    };
    for (pick, wanted) in [
        (Pick::Whole, "a.b"),
        (Pick::Field(field("c.d")), "a.b.c.d"),
        (keyed("value", &["k.x"]), "a.b[k.x]"),
        (keyed("running", &["TSM"]), "a.b[TSM].running"),
        (keyed("value", &["k", "l", "m"]), "a.b[k … m]"),
        (elements(Take::Count), "a.b[VirtualCdrom] with connectable.connected = true, how many"),
        (Pick::CertificateEnd, "a.b, the end of its validity"),
        (Pick::BuildReleased, "a.b, when its build was out"),
    ] {
        assert_eq!(Read { path: "a.b".into(), pick }.to_string(), wanted);
    }
}
