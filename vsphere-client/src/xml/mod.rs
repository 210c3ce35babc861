//! Reading XML as a stream of elements, within limits.
//!
//! Answers of a large vCenter are hundreds of megabytes, so nothing here builds a document tree: a [`Decoder`] walks forward
//! once and the typed decoders take what they need. Only values whose type is not known beforehand are kept as they are,
//! each by itself ([`Tree`]). Everything that arrives is treated as hostile. What is malformed, too
//! deep, too large, in another encoding than UTF-8, or declares entities ends in an [`XmlError`] that names the byte
//! offset; it never panics and never grows memory beyond the [`Limits`].

mod body;
mod decoder;
mod error;
mod tree;
mod value;
mod write;

pub use body::{Body, BodyFeed, Limits};
pub use decoder::Decoder;
pub(crate) use error::shorten_line;
pub use error::{XmlError, XmlErrorKind};
pub use tree::{Keys, TooLarge, Tree, TreeLimits, TreeRef};
pub use value::{FromXml, Named};
pub(crate) use write::Element;
