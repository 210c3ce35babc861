//! How fast answers are decoded, against how fast `quick-xml` merely finds the tokens in the same bytes.
//!
//! `VMBRIDGE_RECORDED_ANSWER` names a file with the body of one recorded `RetrievePropertiesEx` answer; `scripts/bench`
//! records the one of a 45,000-VM vCenter. Without it, an answer is put together from values recorded from a real vCenter.

use std::hint::black_box;
use std::io::BufRead;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quick_xml::Reader;
use quick_xml::events::Event;
use vsphere_client::property::decode_retrieve_result;
use vsphere_client::soap::decode_envelope;
use vsphere_client::xml::{Body, Decoder, Limits};

/// Pieces as they come from a TLS connection: one record each.
const PIECE: usize = 16 << 10;

fn answer() -> Bytes {
    if let Some(path) = std::env::var_os("VMBRIDGE_RECORDED_ANSWER") {
        return std::fs::read(path).expect("VMBRIDGE_RECORDED_ANSWER cannot be read").into();
    }
    let config = include_str!("../tests/wire/vm-all-properties/020-FetchResponse.xml");
    let guest = include_str!("../tests/wire/vm-all-properties/029-FetchResponse.xml");
    let hardware = config.split("</hardware>").next().unwrap_or_default();
    let devices: String =
        hardware.split("<device xsi:type=").skip(1).fold(String::new(), |mut all, device| {
            // The last one is followed by other elements of the hardware.
            let end = device.rfind("</device>").unwrap_or(0);
            all.push_str(&format!("<VirtualDevice xsi:type={}</VirtualDevice>", &device[..end]));
            all
        });
    let value = |text: &str, name: &str| {
        let open = format!("<{name}>");
        let start = text.find(&open).expect("a recorded element") + open.len();
        let end = start + text[start..].find(&format!("</{name}>")).expect("its end");
        text[start..end].to_owned()
    };
    let property = |name: &str, kind: &str, value: &str| {
        format!("<propSet><name>{name}</name><val xsi:type=\"{kind}\">{value}</val></propSet>")
    };
    let vm = [
        property("config.annotation", "xsd:string", &value(config, "annotation")),
        property("config.guestFullName", "xsd:string", &value(config, "guestFullName")),
        property("config.hardware.device", "ArrayOfVirtualDevice", &devices),
        property("config.hardware.memoryMB", "xsd:int", "4096"),
        property("config.instanceUuid", "xsd:string", &value(config, "instanceUuid")),
        property("config.uuid", "xsd:string", &value(config, "uuid")),
        property("guest.guestFullName", "xsd:string", &value(guest, "guestFullName")),
        property("guest.hostName", "xsd:string", "web01.example.com"),
        property("name", "xsd:string", "web01"),
        property("runtime.powerState", "VirtualMachinePowerState", "poweredOn"),
    ]
    .concat();
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>\
         <RetrievePropertiesExResponse xmlns=\"urn:vim25\"><returnval>",
    );
    for i in 0..5_000 {
        xml.push_str(&format!("<objects><obj type=\"VirtualMachine\">vm-{i}</obj>{vm}</objects>"));
    }
    xml.push_str("</returnval></RetrievePropertiesExResponse></soapenv:Body></soapenv:Envelope>");
    xml.into()
}

/// The body in pieces, all of them there: the decoder never waits.
fn arriving(bytes: &Bytes, limits: Limits) -> Body {
    let pieces = bytes.len().div_ceil(PIECE);
    let all = (0..pieces).map(|i| bytes.slice(i * PIECE..bytes.len().min((i + 1) * PIECE)));
    Body::of_pieces(all.collect(), limits)
}

fn tokenise(input: impl BufRead) -> usize {
    let mut reader = Reader::from_reader(input);
    let (mut buffer, mut tokens) = (Vec::new(), 0);
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Eof) => return tokens,
            Ok(_) => tokens += 1,
            Err(error) => panic!("the answer is malformed: {error}"),
        }
    }
}

fn decode(body: Body) -> usize {
    let mut objects = 0;
    let answer = decode_envelope(&mut Decoder::new(body), "RetrievePropertiesExResponse", |d| {
        decode_retrieve_result(d, |_, report| {
            black_box(report);
            objects += 1;
            Ok(())
        })
    });
    answer.expect("the answer is malformed").expect("the answer is a fault");
    objects
}

fn benches(c: &mut Criterion) {
    let bytes = answer();
    let mut group = c.benchmark_group("answer");
    group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(10);
    group.bench_function("tokenise", |b| {
        // Only the decoder tells the body where a token ends, so the bound on one must not count here.
        let unlimited = Limits { token: usize::MAX, ..Limits::default() };
        b.iter(|| tokenise(arriving(&bytes, unlimited)));
    });
    group.bench_function("tokenise borrowed", |b| {
        b.iter(|| {
            let text = std::str::from_utf8(&bytes).expect("UTF-8");
            let mut reader = Reader::from_str(text);
            let mut tokens = 0;
            while !matches!(reader.read_event().expect("well-formed"), Event::Eof) {
                tokens += 1;
            }
            tokens
        });
    });
    group.bench_function("decode", |b| b.iter(|| decode(arriving(&bytes, Limits::default()))));
    group.finish();
}

criterion_group!(decoding, benches);
criterion_main!(decoding);
