use super::*;
use crate::ids::MoRef;
use crate::property::{
    Change, FleetSpec, ObjectProperties, ObjectReport, ReportKind, decode_update_set_with,
};
use crate::xml::{Body, Limits, TreeRef};

const VM: MoKind = MoKind::VirtualMachine;

fn keyed(path: &str, keys: &[&str]) -> ExtraPath {
    ExtraPath { path: path.into(), keep: Some(keys.iter().collect()) }
}

fn decode(extra: &Extra, inside: &str) -> Result<Vec<ObjectReport>, XmlError> {
    let xml = format!("<r xmlns:xsi='i'><returnval><filterSet>{inside}</filterSet></returnval></r>");
    let mut d = Decoder::new(Body::complete(xml.into(), Limits::default()));
    d.child()?;
    let mut reports = Vec::new();
    decode_update_set_with(&mut d, extra, |_, report| {
        reports.push(report);
        Ok(())
    })?;
    Ok(reports)
}

/// What a change of the VM to these properties says of the first extra property.
fn told(extra: &Extra, changes: &str) -> ObjectReport {
    let object =
        format!("<objectSet><kind>modify</kind><obj type=\"VirtualMachine\">vm-1</obj>{changes}</objectSet>");
    decode(extra, &object).unwrap().remove(0)
}

fn change(path: &str, value: &str) -> String {
    format!("<changeSet><name>{path}</name><op>assign</op>{value}</changeSet>")
}

fn option(key: &str, value: &str) -> String {
    format!(
        "<OptionValue xsi:type=\"OptionValue\"><key>{key}</key><value xsi:type=\"xsd:string\">{value}</value></OptionValue>"
    )
}

#[test]
fn of_a_list_only_the_wanted_elements_are_kept() {
    let extra =
        Extra::new([(VM, vec![keyed("config.extraConfig", &["isolation.tools.copy.disable", "Two"])])]);
    let options: String = (0..500).map(|n| option(&format!("guestinfo.{n}"), &"x".repeat(100))).collect();
    let list = format!(
        "<val xsi:type=\"ArrayOfOptionValue\">{options}{}{}{}<OptionValue><value>two</value></OptionValue></val>",
        option("ISOLATION.tools.copy.disable", "a &amp; b"),
        option("isolation.tools.copy.disabled", "TRUE"),
        "<OptionValue><value>early</value><key>two</key></OptionValue>",
    );
    let report = told(&extra, &change("config.extraConfig", &list));
    insta::assert_debug_snapshot!(report.extras, @r#"
    [
        ExtraReport {
            index: 0,
            change: Set(
                val:ArrayOfOptionValue[
                    OptionValue:OptionValue[
                        key="ISOLATION.tools.copy.disable",
                        value:string="a & b",
                    ],
                    OptionValue[
                        value="early",
                        key="two",
                    ],
                ],
            ),
        },
    ]
    "#);
}

#[test]
fn a_built_in_property_reaches_both_and_is_read_once() {
    let extra = Extra::new([(VM, vec!["config.hardware.device".into(), "config.version".into()])]);
    let devices = "<val xsi:type=\"ArrayOfVirtualDevice\"><VirtualDevice xsi:type=\"VirtualFloppy\"><key>8000</key>\
        <deviceInfo xsi:type=\"Description\"><label>Floppy &lt;1&gt;</label><summary>s</summary></deviceInfo><unknown><a><b>c</b></a></unknown>\
        </VirtualDevice></val>";
    let changes = change("config.hardware.device", devices)
        + &change("config.version", "<val xsi:type='xsd:string'>vmx-21</val>");
    let report = told(&extra, &changes);
    let ObjectProperties::VirtualMachine(vm) = &report.properties else { panic!("a VM") };
    assert_eq!(vm.hardware_version, Change::Set("vmx-21".into()));
    assert_eq!(vm.devices.as_value().unwrap()[0].label.as_deref(), Some("Floppy <1>"));
    assert_eq!(
        report.properties,
        told(&Extra::default(), &changes).properties,
        "as without extra properties"
    );
    insta::assert_debug_snapshot!(report.extras, @r#"
    [
        ExtraReport {
            index: 0,
            change: Set(
                val:ArrayOfVirtualDevice[
                    VirtualDevice:VirtualFloppy[
                        key="8000",
                        deviceInfo:Description[
                            label="Floppy <1>",
                            summary="s",
                        ],
                        unknown[
                            a[
                                b="c",
                            ],
                        ],
                    ],
                ],
            ),
        },
        ExtraReport {
            index: 1,
            change: Set(
                val:string="vmx-21",
            ),
        },
    ]
    "#);
}

#[test]
fn unset_and_unreadable_are_told_and_other_types_are_not_meant() {
    let extra = Extra::new([
        (VM, vec!["config.bootOptions".into(), "config.flags".into()]),
        (MoKind::HostSystem, vec!["config.option".into()]),
    ]);
    let report = told(
        &extra,
        "<changeSet><name>config.flags</name><op>assign</op></changeSet>\
         <changeSet><name>config.option</name><op>assign</op><val>x</val></changeSet>\
         <missingSet><path>config.bootOptions</path><fault><fault xsi:type=\"NoPermission\"/></fault></missingSet>",
    );
    let expected = [
        ExtraReport { index: 1, change: ExtraChange::Unset },
        ExtraReport { index: 0, change: ExtraChange::Unreadable(Unreadable::NotPermitted) },
    ];
    assert_eq!(report.extras, expected);
}

#[test]
fn what_is_too_large_spoils_only_itself() {
    let extra = Extra::new([(VM, vec!["a".into(), keyed("b", &["k"]), "c".into()])]);
    let deep = format!("<val>{}{}</val>", "<x>".repeat(40), "</x>".repeat(40));
    let many = format!("<val>{}</val>", option("k", "v").repeat(30_000));
    let long = format!("<val>{}</val>", "x".repeat(2 << 20));
    for large in [deep, many, long] {
        for path in ["a", "b"] {
            let report = told(&extra, &(change(path, &large) + &change("c", "<val>fine</val>")));
            let [first, second] = &report.extras[..] else { panic!("{:?}", report.extras) };
            assert_eq!(first.index, usize::from(path == "b"));
            assert!(
                matches!(first.change, ExtraChange::Unreadable(Unreadable::TooLarge)),
                "{path}: {:?}",
                first.change
            );
            let ExtraChange::Set(tree) = &second.change else { panic!("{:?}", second.change) };
            assert_eq!(tree.root().and_then(TreeRef::text), Some("fine"));
        }
    }
}

#[test]
fn what_the_server_does_not_know_is_told_of_each_object() {
    let extra = Extra::new([(VM, vec!["config.a".into(), "config.b.c".into(), "config.b.d".into()])]);
    let (less, left_out) = extra.without("config.b", false);
    assert_eq!(left_out, [Box::from("config.b.c"), "config.b.d".into()]);
    let entered = "<objectSet><kind>enter</kind><obj type=\"VirtualMachine\">vm-1</obj></objectSet>";
    let report = decode(&less, entered).unwrap().remove(0);
    assert_eq!(report.kind, ReportKind::Entered);
    let unknown = ExtraChange::Unreadable(Unreadable::Unknown);
    let expected = [1, 2].map(|index| ExtraReport { index, change: unknown.clone() });
    assert_eq!(report.extras, expected);

    let (same, left_out) = less.without("config.b", false);
    assert!(left_out.is_empty(), "it was left out before: {left_out:?}");
    assert_eq!(paths(&same, "VirtualMachine").last().map(String::as_str), Some("config.a"));
    assert_eq!(
        extra.without("d", false).1,
        [Box::from("config.b.d")],
        "only the last part of a path is named"
    );
    assert_eq!(extra.without("something", false).1.len(), 3, "any of them may be meant");
    assert_eq!(extra.without("name", true).1.len(), 0, "it is a built-in one that is meant");
}

fn paths(extra: &Extra, of: &str) -> Vec<String> {
    let xml = filter(extra);
    let set =
        xml.split("<propSet>").find(|set| set.contains(&format!("<type>{of}</type>"))).unwrap_or_default();
    set.split("<pathSet>").skip(1).filter_map(|rest| rest.split("</").next()).map(str::to_owned).collect()
}

fn filter(extra: &Extra) -> String {
    let spec = FleetSpec {
        view: MoRef::new("ContainerView", "view-1"),
        others: Vec::new(),
        without: std::collections::BTreeSet::new(),
        extra: extra.clone(),
    };
    spec.filter("spec").into_xml()
}

#[test]
fn the_filter_asks_for_each_path_once_and_for_whole_sets_of_derived_types() {
    let extra = Extra::new([
        (VM, vec!["config.version".into(), "config.bootOptions".into(), "config.bootOptions".into()]),
        (MoKind::ClusterComputeResource, vec!["configurationEx".into()]),
        (MoKind::DistributedVirtualPortgroup, vec!["config.defaultPortConfig.securityPolicy".into()]),
    ]);
    let vm = paths(&extra, "VirtualMachine");
    assert_eq!(vm.len(), paths(&Extra::default(), "VirtualMachine").len() + 1);
    assert_eq!(vm.last().map(String::as_str), Some("config.bootOptions"));
    assert_eq!(paths(&extra, "ClusterComputeResource"), ["name", "parent", "host", "configurationEx"]);
    assert_eq!(
        paths(&extra, "DistributedVirtualPortgroup"),
        ["name", "parent", "config.defaultPortConfig.securityPolicy"]
    );
    assert_eq!(paths(&extra, "ComputeResource"), paths(&Extra::default(), "ComputeResource"));
    insta::assert_snapshot!(filter(&Extra::default()).matches("<propSet>").count(), @"9");
    insta::assert_snapshot!(filter(&extra).matches("<propSet>").count(), @"11");
}

proptest::proptest! {
    #[test]
    fn a_tree_says_what_the_element_says(value in node(4)) {
        let report = told(&Extra::new([(VM, vec!["p".into()])]), &change("p", &value.xml("val")));
        let ExtraChange::Set(tree) = &report.extras[0].change else { panic!("{:?}", report.extras) };
        value.compare(tree.root().unwrap());
    }

    #[test]
    fn any_bytes_are_an_error_or_a_report(bytes in "[<>/a-z &;=\"'!\\[\\]-]{0,80}", keyed in proptest::bool::ANY) {
        let keep = keyed.then(|| ["a"].iter().collect());
        let extra = Extra::new([(VM, vec![ExtraPath { path: "p".into(), keep }])]);
        let object = format!("<objectSet><obj type=\"VirtualMachine\">v</obj>{}</objectSet>", change("p", &format!("<val>{bytes}</val>")));
        let _ = decode(&extra, &object);
    }
}

#[derive(Debug, Clone)]
enum Node {
    Leaf(String),
    Record(Vec<(String, Node)>),
}

fn node(depth: u32) -> impl proptest::strategy::Strategy<Value = Node> {
    use proptest::prelude::*;
    let leaf = "[a-z&<> äöü]{0,12}".prop_map(Node::Leaf);
    leaf.prop_recursive(depth, 40, 5, |inner| {
        proptest::collection::vec(("[a-z]{1,5}", inner), 1..5).prop_map(Node::Record)
    })
}

impl Node {
    fn xml(&self, name: &str) -> String {
        let inside = match self {
            Self::Leaf(text) => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            Self::Record(children) => children.iter().map(|(name, child)| child.xml(name)).collect(),
        };
        format!("<{name}>{inside}</{name}>")
    }

    fn compare(&self, tree: TreeRef<'_>) {
        match self {
            Self::Leaf(text) => assert_eq!(tree.text(), Some(text.as_str())),
            Self::Record(children) => {
                assert_eq!(tree.text(), None);
                let found: Vec<_> = tree.children().collect();
                assert_eq!(found.len(), children.len());
                for (found, (name, child)) in found.into_iter().zip(children) {
                    assert_eq!(found.name(), name);
                    child.compare(found);
                }
            }
        }
    }
}
