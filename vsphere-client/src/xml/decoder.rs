//! The forward-only walk over an answer.

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::body::{Body, LimitExceeded};
use super::error::{XmlError, XmlErrorKind, shorten};
use super::tree::{Keys, Recorder, TooLarge, Tree, TreeLimits};

/// Walks forward over an XML body.
///
/// The walk always stands inside an element. [`child`](Self::child) steps into the next element inside it, which then must
/// be used up by exactly one of [`skip`](Self::skip), [`text`](Self::text) (or a typed read built on it), or a loop over
/// `child` until that answers `false`:
///
/// ```
/// # use vsphere_client::xml::{Body, Decoder, Limits, XmlError};
/// # fn main() -> Result<(), XmlError> {
/// let xml = "<about><name>vCenter</name><new><thing/></new><build>42</build></about>";
/// let mut d = Decoder::new(Body::complete(xml.into(), Limits::default()));
/// let (mut name, mut build) = (String::new(), 0_i64);
/// assert!(d.child()?); // <about>
/// while d.child()? {
///     match d.name() {
///         "name" => name = d.text()?.to_owned(),
///         "build" => build = d.read()?,
///         _ => d.skip()?,
///     }
/// }
/// assert_eq!((name.as_str(), build), ("vCenter", 42));
/// # Ok(())
/// # }
/// ```
pub struct Decoder {
    reader: Reader<Body>,
    buffer: Vec<u8>,
    depth: usize,
    name: String,
    xsi_type: String,
    mo_type: String,
    text: String,
    /// Writes down what the walk goes over, while somebody wants that.
    recorder: Option<Box<Recorder>>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("at", &self.name).field("depth", &self.depth).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Starts before the root element of `body`.
    #[must_use]
    pub fn new(body: Body) -> Self {
        let mut reader = Reader::from_reader(body);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = true;
        Self {
            reader,
            buffer: Vec::with_capacity(1024),
            depth: 0,
            name: String::new(),
            xsi_type: String::new(),
            mo_type: String::new(),
            text: String::new(),
            recorder: None,
        }
    }

    /// Local name of the element that `child` stepped into last.
    #[inline]
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its `xsi:type` without prefix, or nothing.
    #[inline]
    #[must_use]
    pub fn xsi_type(&self) -> &str {
        without_prefix(&self.xsi_type)
    }

    /// Its `type` attribute, which on a managed object reference names the object's type; or nothing.
    #[inline]
    #[must_use]
    pub fn mo_type(&self) -> &str {
        &self.mo_type
    }

    /// Whether this walk runs on a thread that may block.
    pub(crate) fn may_block(&self) -> bool {
        self.reader.get_ref().may_block()
    }

    /// Bytes read so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.reader.buffer_position()
    }

    /// Steps into the next element inside the current one; `false` at the end of the current one, which is then used up.
    ///
    /// # Errors
    /// When the body is malformed, breaks off or exceeds a limit.
    pub fn child(&mut self) -> Result<bool, XmlError> {
        loop {
            self.buffer.clear();
            self.reader.get_mut().token_done();
            match self.reader.read_event_into(&mut self.buffer) {
                Ok(Event::Start(start)) => {
                    self.name.clear();
                    self.name.push_str(start.local_name().into_inner());
                    self.xsi_type.clear();
                    self.mo_type.clear();
                    let attributes = keep_types(&start, &mut self.xsi_type, &mut self.mo_type)
                        .map_err(XmlErrorKind::Syntax);
                    if let Err(kind) = attributes {
                        return Err(self.error(kind));
                    }
                    if let Some(recorder) = &mut self.recorder {
                        recorder.open(&self.name, without_prefix(&self.xsi_type));
                    }
                    return self.enter();
                }
                Ok(Event::End(_)) => {
                    self.depth = self.depth.saturating_sub(1);
                    if let Some(recorder) = &mut self.recorder {
                        recorder.close();
                    }
                    return Ok(false);
                }
                Ok(Event::Eof) if self.depth > 0 => return Err(self.error(XmlErrorKind::UnexpectedEnd)),
                Ok(Event::Eof) => return Ok(false),
                Ok(event) => {
                    let recorded = write_down(self.recorder.as_deref_mut(), &event);
                    if let Err(kind) = recorded.and_then(|()| ignorable(&event)) {
                        return Err(self.error(kind));
                    }
                }
                Err(error) => return Err(self.reader_error(error)),
            }
        }
    }

    /// Passes over the current element and everything in it.
    ///
    /// # Errors
    /// As [`child`](Self::child).
    pub fn skip(&mut self) -> Result<(), XmlError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.buffer.clear();
            self.reader.get_mut().token_done();
            match self.reader.read_event_into(&mut self.buffer) {
                Ok(Event::Start(start)) => {
                    if let Err(kind) = write_down_start(self.recorder.as_deref_mut(), &start) {
                        return Err(self.error(kind));
                    }
                    self.enter()?;
                }
                Ok(Event::End(_)) => self.leave(),
                Ok(Event::Eof) => return Err(self.error(XmlErrorKind::UnexpectedEnd)),
                Ok(event) => {
                    let recorded = write_down(self.recorder.as_deref_mut(), &event);
                    if let Err(kind) = recorded.and_then(|()| ignorable(&event)) {
                        return Err(self.error(kind));
                    }
                }
                Err(error) => return Err(self.reader_error(error)),
            }
        }
        Ok(())
    }

    /// Passes over what is left in the current element: the end of a loop over [`child`](Self::child).
    pub(crate) fn skip_rest(&mut self) -> Result<(), XmlError> {
        while self.child()? {
            self.skip()?;
        }
        Ok(())
    }

    /// The text of the current element, which is then used up. Elements inside it are passed over.
    ///
    /// # Errors
    /// As [`child`](Self::child), and when the text holds an unknown entity.
    pub fn text(&mut self) -> Result<&str, XmlError> {
        self.text.clear();
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.buffer.clear();
            if self.text.len() > self.reader.get_ref().limits().token {
                return Err(self.error(XmlErrorKind::Limit("the length of one value")));
            }
            self.reader.get_mut().token_done();
            let inside_other = self.depth > outside + 1;
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => return Err(self.reader_error(error)),
            };
            if let Err(kind) = write_down(self.recorder.as_deref_mut(), &event) {
                return Err(self.error(kind));
            }
            match event {
                Event::End(_) => self.leave(),
                Event::Text(_) | Event::GeneralRef(_) | Event::CData(_) if inside_other => {}
                Event::Text(text) => self.text.push_str(&text.xml10_content()),
                Event::CData(text) => self.text.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    if let Err(kind) = resolve(&reference, &mut self.text) {
                        return Err(self.error(kind));
                    }
                }
                Event::Start(start) => {
                    if let Err(kind) = write_down_start(self.recorder.as_deref_mut(), &start) {
                        return Err(self.error(kind));
                    }
                    self.enter()?;
                }
                Event::Eof => return Err(self.error(XmlErrorKind::UnexpectedEnd)),
                event => {
                    if let Err(kind) = ignorable(&event) {
                        return Err(self.error(kind));
                    }
                }
            }
        }
        Ok(&self.text)
    }

    /// Reads the rest of the document after the root element's end: only white space and comments may come.
    ///
    /// # Errors
    /// As [`child`](Self::child), and when something follows the root element.
    pub fn finish(&mut self) -> Result<(), XmlError> {
        if self.child()? {
            let found = format!("<{}>", shorten(&self.name));
            return Err(self.error(XmlErrorKind::Expected { expected: "end of the document", found }));
        }
        Ok(())
    }

    /// From here on the current element is written down, whoever reads it, until [`recorded`](Self::recorded) takes it. Of a list
    /// only the elements with one of `keys` are kept.
    pub(crate) fn record(&mut self, keys: Option<Keys>, limits: TreeLimits) {
        let mut recorder = Box::new(Recorder::new(keys, limits));
        recorder.open(&self.name, self.xsi_type());
        self.recorder = Some(recorder);
    }

    /// What was written down, once the element is used up.
    pub(crate) fn recorded(&mut self) -> Result<Tree, TooLarge> {
        self.recorder.take().map_or_else(|| Ok(Tree::default()), |recorder| recorder.finish())
    }

    /// Reads the current element as a value of any type.
    ///
    /// # Errors
    /// As [`child`](Self::child). What is merely too large is told inside.
    pub fn tree(
        &mut self,
        keys: Option<Keys>,
        limits: TreeLimits,
    ) -> Result<Result<Tree, TooLarge>, XmlError> {
        self.record(keys, limits);
        self.skip()?;
        Ok(self.recorded())
    }

    fn leave(&mut self) {
        self.depth -= 1;
        if let Some(recorder) = &mut self.recorder {
            recorder.close();
        }
    }

    fn enter(&mut self) -> Result<bool, XmlError> {
        self.depth += 1;
        if self.depth > self.reader.get_ref().limits().depth {
            return Err(self.error(XmlErrorKind::Limit("elements inside elements")));
        }
        Ok(true)
    }

    /// An error at the current place.
    #[must_use]
    pub fn error(&self, kind: XmlErrorKind) -> XmlError {
        XmlError { offset: self.offset(), kind }
    }

    /// The error for a value that is not what it should be.
    #[must_use]
    pub fn bad_value(&self, expected: &'static str, found: &str) -> XmlError {
        self.error(XmlErrorKind::Value { expected, found: shorten(found) })
    }

    #[cold]
    fn reader_error(&self, error: quick_xml::Error) -> XmlError {
        if let quick_xml::Error::Io(io) = &error {
            if let Some(limit) = io.get_ref().and_then(|e| e.downcast_ref::<LimitExceeded>()) {
                return self.error(XmlErrorKind::Limit(limit.0));
            }
            return self.error(XmlErrorKind::Incomplete(crate::error::chain(io.as_ref())));
        }
        self.error(XmlErrorKind::Syntax(error))
    }
}

fn without_prefix(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or_default()
}

/// Writes down the beginning of an element that the walk itself does not look at.
fn write_down_start(recorder: Option<&mut Recorder>, start: &BytesStart<'_>) -> Result<(), XmlErrorKind> {
    let Some(recorder) = recorder else { return Ok(()) };
    if recorder.passes() {
        recorder.open("", "");
        return Ok(());
    }
    let (mut xsi_type, mut mo_type) = (String::new(), String::new());
    keep_types(start, &mut xsi_type, &mut mo_type).map_err(XmlErrorKind::Syntax)?;
    recorder.open(start.local_name().into_inner(), without_prefix(&xsi_type));
    Ok(())
}

/// Writes down text, as [`Decoder::text`] reads it.
#[inline]
fn write_down(recorder: Option<&mut Recorder>, event: &Event<'_>) -> Result<(), XmlErrorKind> {
    let Some(recorder) = recorder else { return Ok(()) };
    match event {
        Event::Text(text) => recorder.text(&text.xml10_content()),
        Event::CData(text) => recorder.text(&text.xml10_content()),
        Event::GeneralRef(reference) => {
            let mut piece = String::new();
            resolve(reference, &mut piece)?;
            recorder.text(&piece);
        }
        _ => {}
    }
    Ok(())
}

/// Keeps the two attributes that mean something in SOAP answers.
#[inline]
fn keep_types(
    start: &BytesStart<'_>,
    xsi_type: &mut String,
    mo_type: &mut String,
) -> Result<(), quick_xml::Error> {
    // Most elements have no attributes at all, and most of the others exactly one of these two.
    let raw = start.attributes_raw();
    if raw.is_empty() {
        return Ok(());
    }
    if let Some(value) = only(raw, "xsi:type=\"") {
        xsi_type.push_str(value);
        return Ok(());
    }
    if let Some(value) = only(raw, "type=\"") {
        mo_type.push_str(value);
        return Ok(());
    }
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute?;
        let (local, prefix) = attribute.key.decompose();
        if local.into_inner() == "type" {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0)?;
            let kept = if prefix.is_some() { &mut *xsi_type } else { &mut *mo_type };
            kept.push_str(&value);
        }
    }
    Ok(())
}

/// The value of the one attribute that begins with `opening`, if `raw` is that and nothing else.
#[inline]
fn only<'a>(raw: &'a str, opening: &str) -> Option<&'a str> {
    let value = raw.trim_ascii().strip_prefix(opening)?.strip_suffix('"')?;
    // An attribute value may also hold references and white space that is to be normalised; type names never do.
    value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'-' | b'.'))
        .then_some(value)
}

/// What may stand between elements without meaning anything.
fn ignorable(event: &Event<'_>) -> Result<(), XmlErrorKind> {
    match event {
        Event::DocType(_) => Err(XmlErrorKind::DocumentType),
        Event::Decl(declaration) => match declaration.encoding() {
            None => Ok(()),
            Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("us-ascii") => {
                Ok(())
            }
            Some(Ok(name)) => Err(XmlErrorKind::Encoding(shorten(&name))),
            Some(Err(error)) => Err(XmlErrorKind::Syntax(error.into())),
        },
        _ => Ok(()),
    }
}

fn resolve(reference: &BytesRef<'_>, out: &mut String) -> Result<(), XmlErrorKind> {
    if reference.is_char_ref() {
        return match reference.resolve_char_ref() {
            Ok(Some(c)) => {
                out.push(c);
                Ok(())
            }
            Ok(None) => Err(XmlErrorKind::UnknownEntity(shorten(reference))),
            Err(error) => Err(XmlErrorKind::Syntax(error)),
        };
    }
    match resolve_xml_entity(reference) {
        Some(text) => {
            out.push_str(text);
            Ok(())
        }
        None => Err(XmlErrorKind::UnknownEntity(shorten(reference))),
    }
}
