//! How a command ends.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::ConfigErrors;
use crate::logging::FilterError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was done.
    Done,
    /// It was done, and a problem was found: a check failed, or a part of the fleet could not be read.
    Problem,
    /// It could not be tried: bad arguments, bad configuration.
    CouldNotRun,
    /// A signal with this number ended it early.
    Interrupted(u8),
}

impl Exit {
    /// The number of the exit code.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Problem => 1,
            Self::CouldNotRun => 2,
            Self::Interrupted(signal) => 128 + signal,
        }
    }

    /// The exit code.
    #[must_use]
    pub fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }
}

/// Why a command could not be done. Its text is for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no configuration file.
    #[error(
        "there is no configuration file: neither {} nor {} exists\n  give its path with --config or VMBRIDGE_CONFIG; \
         the settings are described by `vmbridge config reference`",
        .0[0].display(), .0[1].display()
    )]
    NoConfig([PathBuf; 2]),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(Box<ConfigErrors>),
    /// `--log` is wrong.
    #[error("--log: {0}")]
    Log(#[from] FilterError),
    /// The arguments do not fit the configuration or each other.
    #[error("{0}")]
    Usage(String),
    /// Standard output cannot be written.
    #[error("standard output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// The process could not be set up.
    #[error("the program could not be started: {0}")]
    Runtime(#[source] io::Error),
    /// The engine could not be started.
    #[error("{0}")]
    Engine(#[source] crate::engine::AssemblyError),
    /// A daemon, or what stands in for one, does not do what it was asked.
    #[error("{0}")]
    Daemon(#[source] crate::control::ClientError),
    /// The service could not be started.
    #[error("{0}")]
    Service(String),
}

impl Failure {
    /// Tells the person, and how the command ends.
    pub fn report(&self, err: &mut impl io::Write) -> Exit {
        match self {
            // Whoever read our output has seen enough, as in `vmbridge inventory | head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return Exit::Done,
            // It begins each mistake with `error:` by itself.
            Self::Config(errors) => {
                let _ = writeln!(err, "{errors}");
            }
            other => {
                let _ = writeln!(err, "error: {other}");
            }
        }
        Exit::CouldNotRun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(failure: &Failure) -> (String, u8) {
        let mut text = Vec::new();
        let exit = failure.report(&mut text);
        (String::from_utf8(text).unwrap(), exit.number())
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure() {
        let closed = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(told(&closed), (String::new(), 0));
        let full = Failure::Output(io::ErrorKind::StorageFull.into());
        assert_eq!(
            told(&full),
            ("error: standard output cannot be written: no storage space\n".to_owned(), 2)
        );
    }

    #[test]
    fn exit_codes() {
        let codes =
            [Exit::Done, Exit::Problem, Exit::CouldNotRun, Exit::Interrupted(2), Exit::Interrupted(15)];
        assert_eq!(codes.map(Exit::number), [0, 1, 2, 130, 143]);
    }

    #[test]
    fn a_missing_configuration_says_where_it_was_looked_for() {
        let (text, code) =
            told(&Failure::NoConfig(["/etc/vmbridge/vmbridge.toml".into(), "vmbridge.toml".into()]));
        assert_eq!(code, 2);
        assert!(text.starts_with(
            "error: there is no configuration file: neither /etc/vmbridge/vmbridge.toml nor vmbridge.toml"
        ));
        assert!(text.contains("--config"));
    }
}
