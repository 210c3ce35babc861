//! Reports on objects, as the property collector sends them: the first state of each, then every change.

use super::{Extra, ExtraChange, ExtraReport, ObjectProperties, Unreadable};
use crate::ids::MoRef;
use crate::xml::{Decoder, XmlError, XmlErrorKind};

/// What is told of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectReport {
    /// The object.
    pub object: MoRef,
    /// What happened to it.
    pub kind: ReportKind,
    /// What is known of its properties; empty when it has left.
    pub properties: ObjectProperties,
    /// What is known of properties that are read beside those; nothing unless some are.
    pub extras: Vec<ExtraReport>,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// It is reported for the first time, with all properties that have a value.
    Entered,
    /// Some properties changed.
    Modified,
    /// It is gone, or can no longer be seen.
    Left,
}

/// Takes reports while an answer is being decoded.
///
/// Reports leave in batches, so that an answer of any length needs little memory. Sending a batch may block, which is only
/// allowed on a thread of its own; the remainder, and everything in a short answer that is decoded in place, is returned.
pub(crate) struct ReportSink {
    batch: Vec<ObjectReport>,
    kept: Vec<ObjectReport>,
    send: Box<dyn FnMut(Vec<ObjectReport>) -> bool + Send>,
}

/// Reports in one batch: large enough that handing it over costs nothing, small enough that a few in flight stay small.
const BATCH: usize = 128;

impl ReportSink {
    /// A sink that hands full batches to `send`, which blocks while there is no room and answers `false` when nobody
    /// wants them any more.
    pub(crate) fn new(send: impl FnMut(Vec<ObjectReport>) -> bool + Send + 'static) -> Self {
        Self { batch: Vec::new(), kept: Vec::new(), send: Box::new(send) }
    }

    pub(crate) fn push(&mut self, d: &Decoder, report: ObjectReport) -> Result<(), XmlError> {
        // Events are for the watch itself, which gets what is returned.
        if matches!(report.properties, ObjectProperties::EventCollector(_)) {
            self.kept.push(report);
            return Ok(());
        }
        self.batch.push(report);
        if self.batch.len() >= BATCH && d.may_block() {
            let batch = std::mem::take(&mut self.batch);
            if !(self.send)(batch) {
                return Err(d.error(XmlErrorKind::Abandoned));
            }
        }
        Ok(())
    }

    pub(crate) fn rest(mut self) -> Vec<ObjectReport> {
        self.batch.append(&mut self.kept);
        self.batch
    }
}

/// Reads one page of a one-time read (`RetrieveResult`), inside the response element: each object goes to `each`, the token
/// for the next page, if there is one, is returned.
///
/// # Errors
/// When the answer is malformed, or with the error of `each`.
pub fn decode_retrieve_result(
    d: &mut Decoder,
    each: impl FnMut(&Decoder, ObjectReport) -> Result<(), XmlError>,
) -> Result<Option<String>, XmlError> {
    decode_retrieve_result_with(d, &Extra::default(), each)
}

/// The same, with properties beside the built-in ones.
///
/// # Errors
/// When the answer is malformed, or with the error of `each`.
pub fn decode_retrieve_result_with(
    d: &mut Decoder,
    extra: &Extra,
    mut each: impl FnMut(&Decoder, ObjectReport) -> Result<(), XmlError>,
) -> Result<Option<String>, XmlError> {
    let mut token = None;
    while d.child()? {
        match d.name() {
            "returnval" => {
                while d.child()? {
                    match d.name() {
                        "token" => token = Some(d.read()?),
                        "objects" => {
                            let report = object_content(d, extra)?;
                            each(d, report)?;
                        }
                        _ => d.skip()?,
                    }
                }
            }
            _ => d.skip()?,
        }
    }
    Ok(token)
}

/// The end of one page of a live read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UpdatePage {
    /// From which the next page continues; nothing when the wait ended without any change.
    pub version: Option<String>,
    /// Whether the next page is there already.
    pub truncated: bool,
}

/// Reads one page of a live read (`UpdateSet`), inside the response element: each object goes to `each`.
///
/// # Errors
/// When the answer is malformed, or with the error of `each`.
pub fn decode_update_set(
    d: &mut Decoder,
    each: impl FnMut(&Decoder, ObjectReport) -> Result<(), XmlError>,
) -> Result<UpdatePage, XmlError> {
    decode_update_set_with(d, &Extra::default(), each)
}

/// The same, with properties beside the built-in ones.
///
/// # Errors
/// When the answer is malformed, or with the error of `each`.
pub fn decode_update_set_with(
    d: &mut Decoder,
    extra: &Extra,
    mut each: impl FnMut(&Decoder, ObjectReport) -> Result<(), XmlError>,
) -> Result<UpdatePage, XmlError> {
    let mut page = UpdatePage::default();
    while d.child()? {
        match d.name() {
            "returnval" => {
                while d.child()? {
                    match d.name() {
                        "version" => page.version = Some(d.read()?),
                        "truncated" => page.truncated = d.read()?,
                        "filterSet" => {
                            while d.child()? {
                                match d.name() {
                                    "objectSet" => {
                                        let report = object_update(d, extra)?;
                                        each(d, report)?;
                                    }
                                    "missingSet" => {
                                        let report = missing_object(d, extra)?;
                                        each(d, report)?;
                                    }
                                    _ => d.skip()?,
                                }
                            }
                        }
                        _ => d.skip()?,
                    }
                }
            }
            _ => d.skip()?,
        }
    }
    Ok(page)
}

fn object_content(d: &mut Decoder, extra: &Extra) -> Result<ObjectReport, XmlError> {
    let mut report = Pending::new(extra, ReportKind::Entered);
    while d.child()? {
        match d.name() {
            "obj" => report.object = Some(ObjectReport::first(d, ReportKind::Entered)?),
            "propSet" => report.change(d)?,
            "missingSet" => report.missing(d)?,
            _ => d.skip()?,
        }
    }
    report.finish(d)
}

fn object_update(d: &mut Decoder, extra: &Extra) -> Result<ObjectReport, XmlError> {
    let mut report = Pending::new(extra, ReportKind::Modified);
    while d.child()? {
        match d.name() {
            "kind" => {
                report.kind = d.parse("enter, modify or leave", |text| match text {
                    "enter" => Some(ReportKind::Entered),
                    "modify" => Some(ReportKind::Modified),
                    "leave" => Some(ReportKind::Left),
                    _ => None,
                })?;
            }
            "obj" => report.object = Some(ObjectReport::first(d, report.kind)?),
            "changeSet" => report.change(d)?,
            "missingSet" => report.missing(d)?,
            _ => d.skip()?,
        }
    }
    report.finish(d)
}

/// Reads a `MissingObject`: one that a filter asks for and the server cannot find.
fn missing_object(d: &mut Decoder, extra: &Extra) -> Result<ObjectReport, XmlError> {
    let mut report = Pending::new(extra, ReportKind::Left);
    while d.child()? {
        match d.name() {
            "obj" => report.object = Some(ObjectReport::first(d, ReportKind::Left)?),
            _ => d.skip()?,
        }
    }
    report.finish(d)
}

impl ObjectReport {
    fn first(d: &mut Decoder, kind: ReportKind) -> Result<Self, XmlError> {
        let object: MoRef = d.read()?;
        let properties = ObjectProperties::empty(object.mo_kind());
        Ok(Self { object, kind, properties, extras: Vec::new() })
    }
}

/// A report while it is being read. The API sends the object before its properties.
struct Pending<'e> {
    extra: &'e Extra,
    kind: ReportKind,
    object: Option<ObjectReport>,
    path: String,
}

impl<'e> Pending<'e> {
    fn new(extra: &'e Extra, kind: ReportKind) -> Self {
        Self { extra, kind, object: None, path: String::new() }
    }

    fn report<'a>(&'a mut self, d: &Decoder) -> Result<&'a mut ObjectReport, XmlError> {
        let missing = || d.error(XmlErrorKind::Expected { expected: "obj", found: "its properties".into() });
        self.object.as_mut().ok_or_else(missing)
    }

    /// A `propSet` or `changeSet`: the path, for changes the operation, and the value unless it has none.
    fn change(&mut self, d: &mut Decoder) -> Result<(), XmlError> {
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        let mut has_value = false;
        while d.child()? {
            match d.name() {
                "name" => path.push_str(d.text()?),
                "val" => {
                    self.set(&path, d)?;
                    has_value = true;
                }
                // Without partial updates the operations are assign (with a value, or none to unset it) and removals (none).
                _ => d.skip()?,
            }
        }
        if !has_value {
            self.report(d)?.properties.unset(&path);
            self.other(d, &path, ExtraChange::Unset)?;
        }
        self.path = path;
        Ok(())
    }

    fn set(&mut self, path: &str, d: &mut Decoder) -> Result<(), XmlError> {
        let extra = self.extra;
        let report = self.report(d)?;
        match extra.find(report.object.mo_kind(), path) {
            None => report.properties.set(path, d),
            Some((index, keep)) => {
                let set = |d: &mut Decoder| report.properties.set(path, d);
                let told = ExtraReport::read(d, index, keep, set)?;
                report.extras.push(told);
                Ok(())
            }
        }
    }

    /// Notes what has become of a property that has no value, if it is one of those that are read beside the built-in ones.
    fn other(&mut self, d: &Decoder, path: &str, change: ExtraChange) -> Result<(), XmlError> {
        let extra = self.extra;
        let report = self.report(d)?;
        if let Some((index, _)) = extra.find(report.object.mo_kind(), path) {
            report.extras.push(ExtraReport { index, change });
        }
        Ok(())
    }

    fn missing(&mut self, d: &mut Decoder) -> Result<(), XmlError> {
        let mut path = String::new();
        while d.child()? {
            match d.name() {
                "path" => path = d.read()?,
                _ => d.skip()?,
            }
        }
        self.report(d)?.properties.unreadable(&path);
        self.other(d, &path, ExtraChange::Unreadable(Unreadable::NotPermitted))
    }

    fn finish(mut self, d: &Decoder) -> Result<ObjectReport, XmlError> {
        let (extra, kind) = (self.extra, self.kind);
        let report = self.report(d)?;
        report.kind = kind;
        if kind == ReportKind::Entered {
            report.extras.extend(extra.unknown(report.object.mo_kind()));
        }
        match self.object {
            Some(report) => Ok(report),
            None => Err(d.error(XmlErrorKind::Expected { expected: "obj", found: "nothing".into() })),
        }
    }
}
