//! Where things are: the way from an object up to its datacenter.
//!
//! References are followed when somebody asks, not when a report comes: renaming a folder must not mean touching every VM below
//! it. The places of folders are kept until any object moves, since all VMs are asked for theirs at once. A parent that is not known (no permission, not read yet) makes the place unknown, which is told apart from "none".

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use foldhash::HashMap;
use vsphere_client::ids::{MoKind, MoRef};

use super::node::{Body, Node};
use super::vm::Vm;

/// No inventory is nested deeper; one that seems to be is a circle.
const DEEPEST: usize = 256;

/// Looks up objects and names of custom attributes, some of them perhaps as they were before a change.
#[derive(Clone, Copy)]
pub(super) struct Lookup<'a> {
    pub(super) nodes: &'a HashMap<MoRef, Node>,
    pub(super) fields: &'a HashMap<i32, Arc<str>>,
    pub(super) places: &'a Places,
    /// This object is to be seen so instead.
    pub(super) instead: Option<(&'a MoRef, Option<&'a Node>)>,
}

/// The places of all folders, found when somebody asks for one.
#[derive(Debug, Default)]
pub(super) struct Places(OnceLock<HashMap<MoRef, FolderPlace>>);

#[derive(Debug)]
struct FolderPlace {
    path: Option<Box<str>>,
    datacenter: Option<MoRef>,
}

/// A reference with the name of what it refers to, if that is known.
pub(super) type NamedRef<'a> = (&'a MoRef, Option<&'a str>);

/// The folder that holds something, and its datacenter.
#[derive(Debug, Default)]
pub(super) struct Place<'a> {
    pub(super) folder: Option<&'a MoRef>,
    /// Below the datacenter, without its hidden folder.
    pub(super) path: Option<Cow<'a, str>>,
    pub(super) datacenter: Option<NamedRef<'a>>,
}

impl<'a> Lookup<'a> {
    pub(super) fn node(&self, reference: &MoRef) -> Option<&'a Node> {
        match self.instead {
            Some((changed, instead)) if changed == reference => instead,
            _ => self.nodes.get(reference),
        }
    }

    pub(super) fn name(&self, reference: &MoRef) -> Option<&'a str> {
        self.node(reference)?.name.as_deref()
    }

    pub(super) fn named(&self, reference: &'a MoRef) -> NamedRef<'a> {
        (reference, self.name(reference))
    }

    /// The outermost vApp that `vapp` is in; itself if it is in no other.
    fn outermost(&self, vapp: &'a MoRef) -> &'a MoRef {
        let mut outermost = vapp;
        for _ in 0..DEEPEST {
            match self.node(outermost).and_then(|node| node.parent.as_ref()) {
                Some(parent) if *parent.mo_kind() == MoKind::VirtualApp => outermost = parent,
                _ => break,
            }
        }
        outermost
    }

    /// The folder that holds a VM.
    pub(super) fn folder_of(&self, vm: &'a Vm) -> Option<&'a MoRef> {
        if let Some(parent) = &vm.parent {
            return Some(parent);
        }
        match &self.node(self.outermost(vm.parent_vapp.as_ref()?))?.body {
            Body::VApp { parent_folder, .. } => parent_folder.as_ref(),
            _ => None,
        }
    }

    /// The place of a folder.
    pub(super) fn place(&self, folder: Option<&'a MoRef>) -> Place<'a> {
        // What is kept is how things are now, and not how they were before a change.
        if self.instead.is_some() {
            return self.way_up(folder);
        }
        let known = folder.and_then(|folder| self.places.0.get_or_init(|| self.all_places()).get(folder));
        match known {
            Some(FolderPlace { path, datacenter }) => Place {
                folder,
                path: path.as_deref().map(Cow::Borrowed),
                datacenter: datacenter.as_ref().map(|datacenter| self.named(datacenter)),
            },
            None => self.way_up(folder),
        }
    }

    fn all_places(&self) -> HashMap<MoRef, FolderPlace> {
        let folders = self.nodes.keys().filter(|node| *node.mo_kind() == MoKind::Folder);
        let place = |folder: &'a MoRef| {
            let Place { path, datacenter, .. } = self.way_up(Some(folder));
            let path = path.map(|path| path.into_owned().into());
            (folder.clone(), FolderPlace { path, datacenter: datacenter.map(|(moref, _)| moref.clone()) })
        };
        folders.map(place).collect()
    }

    /// The way from `folder` up.
    fn way_up(&self, folder: Option<&'a MoRef>) -> Place<'a> {
        let mut names: Vec<&str> = Vec::with_capacity(8);
        let mut place = Place { folder, ..Place::default() };
        let mut next = folder;
        for _ in 0..DEEPEST {
            let Some(reference) = next else { return place };
            if *reference.mo_kind() == MoKind::Datacenter {
                place.datacenter = Some(self.named(reference));
                // The uppermost folder is the one that vCenter hides.
                names.pop();
                place.path = Some(path(&names).into());
                return place;
            }
            let Some(node) = self.node(reference) else { return place };
            let Some(name) = &node.name else { return place };
            names.push(name);
            next = node.parent.as_ref();
        }
        place
    }

    /// The datacenter of anything, by the way up.
    pub(super) fn datacenter(&self, start: Option<&'a MoRef>) -> Option<NamedRef<'a>> {
        let mut next = start;
        for _ in 0..DEEPEST {
            let reference = next?;
            if *reference.mo_kind() == MoKind::Datacenter {
                return Some(self.named(reference));
            }
            next = self.node(reference)?.parent.as_ref();
        }
        None
    }

    /// The compute resource that a VM runs on: that of its host, or else of its resource pool.
    pub(super) fn compute_of(&self, vm: &'a Vm) -> Option<&'a MoRef> {
        let of_host = vm.host.as_ref().and_then(|host| self.node(host)?.parent.as_ref());
        of_host.or_else(|| match &self.node(vm.resource_pool.as_ref()?)?.body {
            Body::Pool { owner } | Body::VApp { owner, .. } => owner.as_ref(),
            _ => None,
        })
    }

    /// Whether the description of a VM depends on this object.
    pub(super) fn depends(&self, vm: &Vm, on: &MoRef) -> bool {
        let refs = [&vm.parent, &vm.parent_vapp, &vm.host, &vm.resource_pool];
        if refs.iter().any(|reference| reference.as_ref() == Some(on))
            || vm.datastores.contains(on)
            || vm.networks.contains(on)
        {
            return true;
        }
        let is_above = |start: Option<&MoRef>| {
            let mut next = start.and_then(|start| self.node(start));
            for _ in 0..DEEPEST {
                let Some(node) = next else { return false };
                let above = match &node.body {
                    Body::VApp { parent_folder: Some(folder), .. } => Some(folder),
                    _ => node.parent.as_ref(),
                };
                if above == Some(on) {
                    return true;
                }
                next = above.and_then(|above| self.node(above));
            }
            false
        };
        is_above(vm.parent.as_ref()) || is_above(vm.parent_vapp.as_ref()) || self.compute_of(vm) == Some(on)
    }
}

fn path(names_upwards: &[&str]) -> String {
    let mut path = String::with_capacity(names_upwards.iter().map(|name| name.len() + 1).sum());
    for name in names_upwards.iter().rev() {
        path.push('/');
        let mut rest = *name;
        // As vCenter itself writes a slash that is part of a name.
        while let Some((before, after)) = rest.split_once('/') {
            path.push_str(before);
            path.push_str("%2f");
            rest = after;
        }
        path.push_str(rest);
    }
    if path.is_empty() {
        path.push('/');
    }
    path
}
