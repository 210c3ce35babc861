//! Compares an inventory with what the simulator's model says a correct client must see.
//!
//! The model is told in the simulator's own words, which are vCenter's; what is written here is how they become the words of the
//! inventory. Every difference is one line; no line means that they are equal.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// The differences between `inventory` and the truth of each vCenter, by name.
#[must_use]
pub fn differences(inventory: &Value, truths: &[(&str, Value)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, truth) in truths {
        let of_vcenter = |section: &str| -> BTreeMap<&str, &Value> {
            let of = |object: &&Value| object["vcenter"] == **name;
            list(&inventory[section])
                .iter()
                .filter(of)
                .map(|object| (text(&object["moref"]), object))
                .collect()
        };
        let expected = Expected::new(name, truth);
        compare(&of_vcenter("vms"), list(&truth["vms"]), |vm| expected.vm(vm), &mut lines);
        compare(&of_vcenter("hosts"), list(&truth["hosts"]), |host| expected.host(host), &mut lines);
        let clusters: Vec<_> = list(&truth["computeResources"])
            .iter()
            .filter(|compute| compute["isCluster"] == true)
            .cloned()
            .collect();
        compare(&of_vcenter("clusters"), &clusters, |cluster| expected.cluster(cluster), &mut lines);
        compare(
            &of_vcenter("datastores"),
            list(&truth["datastores"]),
            |store| expected.datastore(store),
            &mut lines,
        );
    }
    lines
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn compare(
    ours: &BTreeMap<&str, &Value>,
    truth: &[Value],
    expected: impl Fn(&Value) -> Value,
    lines: &mut Vec<String>,
) {
    let mut missing: BTreeSet<&str> = ours.keys().copied().collect();
    for object in truth {
        let id = text(&object["id"]);
        missing.remove(id);
        match ours.get(id) {
            None => lines.push(format!("{id} is missing")),
            Some(ours) => differ(id, ours, &expected(object), lines),
        }
    }
    lines.extend(missing.iter().map(|id| format!("{id} does not exist")));
}

fn differ(path: &str, ours: &Value, expected: &Value, lines: &mut Vec<String>) {
    match (ours, expected) {
        (Value::Object(ours), Value::Object(expected)) => {
            let keys: BTreeSet<&String> = ours.keys().chain(expected.keys()).collect();
            for key in keys {
                let value =
                    |map: &Map<String, Value>| map.get(key).cloned().unwrap_or(json!("(no such key)"));
                differ(&format!("{path}/{key}"), &value(ours), &value(expected), lines);
            }
        }
        (Value::Array(ours), Value::Array(expected)) if ours.len() == expected.len() => {
            for (index, (ours, expected)) in ours.iter().zip(expected).enumerate() {
                differ(&format!("{path}/{index}"), ours, expected, lines);
            }
        }
        _ if ours == expected || expected == NOT_TOLD => {}
        _ => lines.push(format!("{path}: {ours}, but it is {expected}")),
    }
}

/// What the model does not hold, because it only arises in the answer.
const NOT_TOLD: &str = "(not told)";

struct Expected<'a> {
    vcenter: &'a str,
    truth: &'a Value,
    objects: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Expected<'a> {
    fn new(vcenter: &'a str, truth: &'a Value) -> Self {
        let sections = [
            "hosts",
            "computeResources",
            "datastores",
            "datacenters",
            "folders",
            "resourcePools",
            "networks",
        ];
        let all = sections.iter().flat_map(|section| list(&truth[*section]));
        Self { vcenter, truth, objects: all.map(|object| (text(&object["id"]), object)).collect() }
    }

    fn get(&self, id: &Value) -> Option<&'a Value> {
        self.objects.get(text(id)).copied()
    }

    fn reference(&self, id: &Value) -> Value {
        match self.get(id) {
            Some(object) => json!({ "moref": object["id"], "name": object["displayName"] }),
            None => Value::Null,
        }
    }

    fn references(&self, ids: &Value) -> Value {
        let mut ids: Vec<&Value> = list(ids).iter().collect();
        ids.sort_by_key(|id| natural(text(id)));
        ids.into_iter().map(|id| self.reference(id)).collect()
    }

    /// The nearest datacenter above.
    fn datacenter(&self, start: &Value) -> Value {
        let mut at = self.get(start);
        while let Some(object) = at {
            if object["type"] == "Datacenter" {
                return self.reference(&object["id"]);
            }
            at = self.get(&object["parent"]);
        }
        Value::Null
    }

    /// The folder that holds a VM: for one in a vApp that of the outermost vApp.
    fn folder(&self, vm: &Value) -> Value {
        let mut id = &vm["parent"];
        if id.is_null() {
            let mut vapp = self.get(&vm["parentVApp"]);
            while let Some(outer) =
                vapp.and_then(|vapp| self.get(&vapp["parent"])).filter(|p| p["type"] == "VirtualApp")
            {
                vapp = Some(outer);
            }
            let Some(vapp) = vapp else { return Value::Null };
            id = &vapp["parentFolder"];
        }
        let mut names = Vec::new();
        let mut at = self.get(id);
        while let Some(folder) = at.filter(|object| object["type"] != "Datacenter") {
            names.push(text(&folder["displayName"]).replace('/', "%2f"));
            at = self.get(&folder["parent"]);
        }
        // The last one is the folder that vCenter hides.
        names.pop();
        names.reverse();
        json!({ "moref": id, "path": format!("/{}", names.join("/")) })
    }

    fn common(&self, object: &Value) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("vcenter".to_owned(), json!(self.vcenter));
        map.insert("vcenterUuid".to_owned(), self.truth["instanceUuid"].clone());
        map.insert("moref".to_owned(), object["id"].clone());
        map.insert("name".to_owned(), object["displayName"].clone());
        map
    }

    fn with(&self, object: &Value, more: Value) -> Value {
        let mut map = self.common(object);
        if let Value::Object(more) = more {
            map.extend(more);
        }
        Value::Object(map)
    }

    fn vm(&self, vm: &Value) -> Value {
        let (config, guest) = (&vm["config"], &vm["guest"]);
        let folder = self.folder(vm);
        let host = self.get(&vm["host"]);
        let compute = host.map(|host| &host["parent"]);
        let cluster =
            compute.and_then(|compute| self.get(compute)).filter(|compute| compute["isCluster"] == true);
        let disks: Vec<Value> = list(&config["disks"]).iter().map(disk).collect();
        let nics: Vec<Value> = list(&config["nics"]).iter().map(|card| nic(card, guest)).collect();
        let managed_by = &config["managedBy"];
        let tags: BTreeSet<(&str, &str)> =
            list(&vm["tags"]).iter().map(|tag| (text(&tag["category"]), text(&tag["name"]))).collect();
        let addresses: Vec<&Value> = list(&guest["nics"])
            .iter()
            .flat_map(|nic| list(&nic["addresses"]))
            .map(|address| &address["ip"])
            .collect();
        let snapshots = &vm["snapshots"];
        self.with(
            vm,
            json!({
                "instanceUuid": config["instanceUuid"],
                "biosUuid": config["uuid"],
                "datacenter": self.datacenter(&folder["moref"]),
                "folder": folder,
                "cluster": cluster.map_or(Value::Null, |cluster| self.reference(&cluster["id"])),
                "host": self.reference(&vm["host"]),
                "resourcePool": self.reference(&vm["resourcePool"]),
                "vApp": self.reference(&vm["parentVApp"]),
                "datastores": self.references(&vm["datastores"]),
                "networks": self.references(&vm["networks"]),
                "powerState": vm["powerState"],
                "connectionState": vm["connectionState"],
                "template": config["template"],
                "guest": {
                    "id": config["guestId"], "fullName": config["guestFullName"],
                    "family": guest["family"], "reportedId": guest["id"], "reportedFullName": guest["fullName"],
                    "state": guest["state"], "toolsRunning": guest["toolsRunningStatus"],
                    "toolsVersion": guest["toolsVersion"], "toolsVersionStatus": guest["toolsVersionStatus2"],
                    "operationsReady": guest["operationsReady"], "hostName": guest["hostName"],
                    "ipAddress": guest["ipAddress"], "ipAddresses": addresses,
                },
                "cpus": config["cpus"],
                "coresPerSocket": config["coresPerSocket"],
                "memoryMiB": config["memoryMb"],
                "hardwareVersion": config["version"],
                "firmware": config["firmware"],
                "annotation": config["annotation"],
                "created": config["createDate"],
                "bootTime": vm["bootTime"],
                "consolidationNeeded": vm["consolidationNeeded"],
                "managedBy": managed_by,
                "faultToleranceRole": config["faultTolerance"]["role"],
                "disks": disks,
                "nics": nics,
                "pciPassthrough": u8::from(config["pciPassthrough"] == true),
                "customAttributes": vm["customAttributes"],
                "tags": tags.iter().map(|(category, name)| json!({ "category": category, "name": name })).collect::<Vec<_>>(),
                "snapshots": { "current": snapshots["current"], "tree": tree(&snapshots["roots"]) },
                "unreadable": [],
            }),
        )
    }

    fn host(&self, host: &Value) -> Value {
        let compute = self.get(&host["parent"]).filter(|compute| compute["isCluster"] == true);
        self.with(
            host,
            json!({
                "datacenter": self.datacenter(&host["parent"]),
                "cluster": compute.map_or(Value::Null, |cluster| self.reference(&cluster["id"])),
                "version": host["version"], "build": host["build"], "vendor": host["vendor"], "model": host["model"],
                "hardwareUuid": host["uuid"], "cpuCores": host["cpuCores"], "memoryBytes": host["memoryBytes"],
                "connectionState": host["connectionState"], "powerState": host["powerState"],
                "maintenanceMode": host["inMaintenanceMode"], "datastores": self.references(&host["datastores"]),
                "customAttributes": host["customAttributes"],
            }),
        )
    }

    fn cluster(&self, cluster: &Value) -> Value {
        let datacenter = self.datacenter(&cluster["parent"]);
        self.with(cluster, json!({ "datacenter": datacenter, "hosts": self.references(&cluster["hosts"]) }))
    }

    fn datastore(&self, store: &Value) -> Value {
        self.with(
            store,
            json!({
                "datacenter": self.datacenter(&store["parent"]),
                "type": store["type"], "capacityBytes": store["capacityBytes"], "freeBytes": store["freeBytes"],
                "accessible": store["accessible"], "maintenanceMode": store["maintenanceMode"],
            }),
        )
    }
}

/// `vm-9` before `vm-10`.
fn natural(id: &str) -> (String, u64) {
    let digits = id.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = id.split_at(digits);
    (stem.to_owned(), number.parse().unwrap_or(u64::MAX))
}

fn disk(disk: &Value) -> Value {
    let backing = text(&disk["backing"]).trim_start_matches("VirtualDisk").trim_end_matches("BackingInfo");
    json!({
        "key": disk["key"], "label": NOT_TOLD, "capacityBytes": disk["bytes"], "mode": disk["mode"],
        "backing": backing, "thin": disk["thin"], "compatibilityMode": disk["compatibilityMode"],
        "sharing": disk["sharing"], "fileName": NOT_TOLD, "datastore": disk["datastore"],
        "busSharing": disk["sharedBus"],
    })
}

fn nic(nic: &Value, guest: &Value) -> Value {
    let reported = list(&guest["nics"]).iter().filter(|reported| reported["deviceKey"] == nic["key"]);
    let addresses: Vec<&Value> =
        reported.flat_map(|nic| list(&nic["addresses"])).map(|address| &address["ip"]).collect();
    json!({
        "key": nic["key"], "label": NOT_TOLD, "type": nic["type"], "macAddress": nic["mac"],
        "connected": nic["connected"], "network": nic["network"], "ipAddresses": addresses,
    })
}

/// A name as a person typed it. Written in another way than the client does it.
fn unescaped(name: &str) -> String {
    name.replace("%2f", "/").replace("%5c", "\\").replace("%25", "%")
}

fn tree(snapshots: &Value) -> Value {
    let one = |snapshot: &Value| {
        json!({
            "moref": snapshot["id"], "name": unescaped(text(&snapshot["name"])), "description": snapshot["description"], "id": NOT_TOLD,
            "created": snapshot["createTime"], "powerState": snapshot["state"], "quiesced": snapshot["quiesced"],
            "children": tree(&snapshot["children"]),
        })
    };
    list(snapshots).iter().map(one).collect()
}
