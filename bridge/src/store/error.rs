//! What goes wrong with the database, and what an operator does about it.

/// The database, or the directory that it is in, cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {problem}")]
pub struct StoreError {
    /// What was being done, with the path.
    pub doing: String,
    /// What is wrong.
    pub problem: StoreProblem,
}

/// What is wrong with the database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreProblem {
    /// Another process is at work.
    #[error("another vmbridge uses it{}; stop that one first, or ask it over its control socket", .pid.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    InUse {
        /// The other process, as it wrote into the lock file.
        pid: Option<String>,
    },
    /// The disk is full.
    #[error("the disk is full; make room, nothing is changed anywhere until there is")]
    Full,
    /// It is damaged.
    #[error(
        "the database is damaged ({0}); stop vmbridge and put back a backup, or move the file away and run `vmbridge state recover`"
    )]
    Damaged(String),
    /// It is not ours.
    #[error("the file is a database of another program")]
    Foreign,
    /// Something else holds a lock on it.
    #[error("the database is locked by another program")]
    Locked,
    /// It cannot be written.
    #[error(
        "the database cannot be written ({0}); the directory and its files must belong to the user that vmbridge runs as"
    )]
    ReadOnly(String),
    /// It was written by a newer version.
    #[error(
        "the database was written by a newer vmbridge (its version is {found}, this program knows {known}); install that version again, or put back a backup made before the upgrade"
    )]
    Newer {
        /// The newest migration in it.
        found: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// The directory cannot be made or used.
    #[error("{0}")]
    Directory(std::io::Error),
    /// There is none yet.
    #[error("there is no database yet; `vmbridge run` or `vmbridge sync` makes one")]
    Missing,
    /// What is in it cannot be understood.
    #[error("{table} holds something that cannot be understood: {detail}; run `vmbridge state check`")]
    Content {
        /// The table.
        table: &'static str,
        /// What it is.
        detail: String,
    },
    /// Anything else that SQLite says.
    #[error("{0}")]
    Other(String),
}

impl StoreError {
    pub(super) fn new(doing: impl Into<String>, problem: StoreProblem) -> Self {
        Self { doing: doing.into(), problem }
    }

    /// Sorts what sqlx says.
    pub(super) fn of(doing: impl Into<String>, error: &sqlx::Error) -> Self {
        Self::new(doing, problem(error))
    }

    pub(super) fn of_io(path: &std::path::Path, error: std::io::Error) -> Self {
        let problem = match error.kind() {
            std::io::ErrorKind::StorageFull => StoreProblem::Full,
            _ => StoreProblem::Directory(error),
        };
        Self::new(format!("the state directory {}", path.display()), problem)
    }

    pub(super) fn in_use(path: &std::path::Path, pid: Option<String>) -> Self {
        Self::new(format!("the state directory {}", path.display()), StoreProblem::InUse { pid })
    }
}

fn problem(error: &sqlx::Error) -> StoreProblem {
    let sqlx::Error::Database(database) = error else {
        return match error {
            sqlx::Error::Io(_) => StoreProblem::Other(error.to_string()),
            sqlx::Error::ColumnDecode { index, source } => {
                StoreProblem::Content { table: "the database", detail: format!("{index}: {source}") }
            }
            _ => StoreProblem::Other(error.to_string()),
        };
    };
    let message = database.message().to_owned();
    // https://sqlite.org/rescode.html: the lowest byte is the primary code.
    let primary = database.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    match primary {
        Some(5 | 6) => StoreProblem::Locked,
        Some(8 | 14) => StoreProblem::ReadOnly(message),
        Some(11 | 26) => StoreProblem::Damaged(message),
        Some(13) => StoreProblem::Full,
        _ => StoreProblem::Other(message),
    }
}
