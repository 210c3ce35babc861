//! The log: what is written, in which form, and how its level changes while the program runs.
//!
//! It always goes to standard error. Under systemd a text line carries its priority instead of the time, which the
//! journal adds by itself. Failure is a [`FilterError`] about what a person wrote, or a logger that was started before.

use std::fmt;
use std::io;

use indicatif::MultiProgress;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, reload};

use crate::config::LogFormat;

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
/// The modules that a bare level is about. Libraries log headers and bodies at `trace`, which may hold secrets: they stay
/// quiet unless a filter names them.
const OURS: [&str; 3] = ["vmbridge", "vsphere_client", "mappings"];

/// What to log, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A level, or a filter in the syntax of `tracing_subscriber::EnvFilter`.
    pub filter: String,
    /// The form of a line.
    pub format: LogFormat,
    /// Whether text may be coloured.
    pub color: bool,
    /// Progress bars that a line must not be written across.
    pub progress: Option<MultiProgress>,
}

/// A log filter that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{text}` is not a log level; write one of error, warn, info, debug, trace, off, or a filter such as `info,vsphere_client=debug`"
)]
pub struct FilterError {
    text: String,
}

/// The running log.
#[derive(Debug, Clone)]
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Log {
    /// Starts the log of this process.
    ///
    /// # Errors
    /// When the filter cannot be used. A log that runs already is left as it is.
    pub fn start(settings: &Settings) -> Result<Self, FilterError> {
        let (filter, handle) = reload::Layer::new(filter(&settings.filter)?);
        let writer = Stderr { progress: settings.progress.clone() };
        let layer = tracing_subscriber::fmt::layer().with_writer(writer);
        let layer = match settings.format {
            LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
            LogFormat::Text if journal() => {
                let inner = Format::default().with_ansi(false).without_time();
                layer.with_ansi(false).event_format(Journal { inner }).boxed()
            }
            LogFormat::Text => layer.with_ansi(settings.color).boxed(),
        };
        // Fails when there is a logger already, as in tests that share a process.
        let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
        Ok(Self { filter: handle })
    }

    /// Changes what is logged from now on.
    ///
    /// # Errors
    /// When the filter cannot be used; the old one stays.
    pub fn set_filter(&self, text: &str) -> Result<(), FilterError> {
        let filter = filter(text)?;
        // Fails only when the log itself is gone, and then nobody is there to be told.
        let _ = self.filter.reload(filter);
        Ok(())
    }
}

/// Whether a level or a filter can be used.
///
/// # Errors
/// When it cannot.
pub fn accepts(text: &str) -> Result<(), FilterError> {
    filter(text).map(|_| ())
}

/// Reads a level or a filter.
///
/// # Errors
/// When it is neither. A word that is no level is refused, although the filter's own syntax takes it for a module.
fn filter(text: &str) -> Result<EnvFilter, FilterError> {
    let wrong = || FilterError { text: text.to_owned() };
    let is_level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
    let directives: Vec<&str> = text.split(',').map(str::trim).collect();
    if !directives.iter().all(|one| is_level(one.rsplit_once('=').map_or(*one, |(_, level)| level))) {
        return Err(wrong());
    }
    let full = match directives[..] {
        [level] if !level.contains('=') && !matches!(level, "off" | "error" | "warn") => {
            let ours: Vec<String> = OURS.iter().map(|module| format!("{module}={level}")).collect();
            format!("warn,{}", ours.join(","))
        }
        _ => text.to_owned(),
    };
    EnvFilter::try_new(full).map_err(|_| wrong())
}

/// Whether standard error is connected to systemd's journal.
fn journal() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    std::fs::metadata("/proc/self/fd/2").is_ok_and(|file| stream == format!("{}:{}", file.dev(), file.ino()))
}

/// Standard error, with progress bars taken away while a line is written.
#[derive(Debug, Clone)]
struct Stderr {
    progress: Option<MultiProgress>,
}

impl io::Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().lock().write_all(line);
        match &self.progress {
            Some(progress) => progress.suspend(write)?,
            None => write()?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Lines for systemd's journal: `<4>` and the like give the priority, by which `journalctl -p warning` selects.
struct Journal {
    inner: Format<Full, ()>,
}

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.inner.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_about_our_own_modules_and_a_filter_about_what_it_names() {
        assert_eq!(
            filter("debug").unwrap().to_string().split(',').collect::<std::collections::BTreeSet<_>>(),
            ["mappings=debug", "vsphere_client=debug", "vmbridge=debug", "warn"].into()
        );
        assert_eq!(filter("error").unwrap().to_string(), "error");
        assert_eq!(filter("info,hyper=trace").unwrap().to_string(), "hyper=trace,info");
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for text in ["verbose", "", "info,", "vmbridge=loud"] {
            let error = filter(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not a log level")), "{error}");
        }
    }
}
