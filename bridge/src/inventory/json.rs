//! The fleet as one JSON object, one VM a line.

use std::io::{self, Write};

use serde::Serialize;

use super::{Picture, Printed};
use crate::fleet::{INVENTORY_SCHEMA, OrganisationDocument, Part, VcenterDocument};

/// Writes the picture as one JSON object; see `docs/inventory.md`.
///
/// # Errors
/// When it cannot be written.
pub fn write_json(out: &mut dyn Write, picture: &Picture<'_>) -> io::Result<Printed> {
    let mut printed = Printed::default();
    write!(out, "{{\"schema\":\"{INVENTORY_SCHEMA}\",\n\"time\":\"{}\",\n", picture.now)?;
    write!(out, "\"complete\":{},\n\"vcenters\":[", picture.is_complete())?;
    let mut list = List::new(out);
    for part in picture.parts() {
        list.item(&VcenterDocument::new(part, picture.now, picture.stale_after))?;
    }
    let mut list = list.next("organisations")?;
    for (name, organisation) in picture.organisations() {
        list.item(&OrganisationDocument::new(name, organisation))?;
    }
    let mut list = list.next("vms")?;
    for part in picture.parts() {
        for vm in picture.filter.vms(part, &mut printed.undecided) {
            list.item(&vm.document())?;
            printed.vms += 1;
        }
    }
    let mut list = list.next("hosts")?;
    for host in picture.parts().flat_map(Part::hosts) {
        list.item(&host)?;
    }
    let mut list = list.next("clusters")?;
    for cluster in picture.parts().flat_map(Part::clusters) {
        list.item(&cluster)?;
    }
    let mut list = list.next("datastores")?;
    for datastore in picture.parts().flat_map(Part::datastores) {
        list.item(&datastore)?;
    }
    list.end()?;
    Ok(printed)
}

/// A list that is being written.
struct List<'a> {
    out: &'a mut dyn Write,
    empty: bool,
    /// One item at a time is made here: many small writes to `out` cost more than the rest.
    item: Vec<u8>,
}

impl<'a> List<'a> {
    fn new(out: &'a mut dyn Write) -> Self {
        Self { out, empty: true, item: Vec::new() }
    }

    fn item(&mut self, item: &impl Serialize) -> io::Result<()> {
        self.item.clear();
        self.item.extend_from_slice(if self.empty { b"\n" } else { b",\n" });
        self.empty = false;
        serde_json::to_writer(&mut self.item, item)?;
        self.out.write_all(&self.item)
    }

    fn next(self, name: &str) -> io::Result<Self> {
        write!(self.out, "],\n\"{name}\":[")?;
        Ok(Self::new(self.out))
    }

    fn end(self) -> io::Result<()> {
        self.out.write_all(b"]}\n")
    }
}
