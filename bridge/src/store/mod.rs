//! The store: what vmbridge has to remember over restarts.
//!
//! A SQLite database in the state directory: which node is which VM, what vmbridge owns, what failed, what was approved, and
//! the journal, in which every action is written before it is done and again when it has ended. One process writes; the lock
//! on the directory sees to that. Every write is on the disk when its function returns.
//!
//! Failure is a [`StoreError`] that says what is wrong and what to do. Who cannot write an intent does not act: a full disk
//! or a damaged database stops vmbridge from changing anything, and never makes it forget what it did.

mod error;
mod lock;
mod machine;
mod read;
mod rows;
#[cfg(test)]
mod tests;
mod upkeep;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::Mutex;

pub use error::{StoreError, StoreProblem};
pub use lock::Lock;
pub use machine::Machine;
pub use read::{Query, Reader};
pub use rows::{
    Approval, Basis, Conclusion, Contents, Entry, EntryId, Failing, Failure, FailureChange, FindingChange,
    Holder, Identity, Outcome, Owned, OwnedChange, OwnedKind, Protection, Refusal, ScopeChange, Step, VmId,
};
pub use upkeep::{ExportError, Finding};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations");

/// Name of the database in the state directory.
pub const DATABASE: &str = "vmbridge.db";
/// `vmbr`: tells our databases from others (`PRAGMA application_id`).
const APPLICATION_ID: i64 = 0x766d_6272;
/// What the names of rows of `meta` begin with that name former installations.
const FORMER: &str = "former/";
/// How long to wait for a backup tool or a person with a database shell.
const BUSY: Duration = Duration::from_secs(5);

/// The open store of the one process that writes.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    writer: Mutex<SqliteConnection>,
    installation: String,
    foreign_machine: std::sync::atomic::AtomicBool,
    _lock: Lock,
}

impl Store {
    /// Opens the database in `directory`, and makes directory and database if there are none.
    ///
    /// # Errors
    /// When another process writes to it, or it cannot be used.
    pub async fn open(directory: &Path) -> Result<Self, StoreError> {
        let lock = Lock::take(directory)?;
        let path = directory.join(DATABASE);
        let doing = || format!("the database {}", path.display());
        let of = |error: sqlx::Error| StoreError::of(doing(), &error);
        let mut writer = options(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .connect()
            .await
            .map_err(of)?;
        secure(&path).map_err(|error| StoreError::of_io(&path, error))?;
        refuse_foreign(&mut writer, &path).await?;
        match MIGRATIONS.run(&mut writer).await {
            Ok(()) => {}
            Err(error) => return Err(StoreError::new(doing(), migration_problem(&error))),
        }
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION_ID}")))
            .execute(&mut writer)
            .await
            .map_err(of)?;
        // Damage in the pages that are read first is better found now than in the middle of the night.
        let quick: String =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut writer).await.map_err(of)?;
        if quick != "ok" {
            return Err(StoreError::new(doing(), StoreProblem::Damaged(quick)));
        }
        let installation = installation(&mut writer).await.map_err(of)?;
        let foreign_machine = !same_machine(&mut writer).await.map_err(of)?;
        Ok(Self {
            directory: directory.to_owned(),
            writer: Mutex::new(writer),
            installation,
            foreign_machine: foreign_machine.into(),
            _lock: lock,
        })
    }

    /// The state directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The id of this installation: eight hexadecimal digits, in the mark on everything that it owns.
    #[must_use]
    pub fn installation(&self) -> &str {
        &self.installation
    }

    /// Whether the state was last used on another machine, so that this may be a copy.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        self.foreign_machine.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} in {}", self.directory.join(DATABASE).display())
    }

    /// Closes the database properly, so that all is in one file.
    pub async fn close(self) {
        if let Err(error) = self.writer.into_inner().close().await {
            // Nothing is lost: what was written is in the write-ahead log and is read from there.
            tracing::warn!(%error, "the database could not be closed properly");
        }
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .disable_statement_logging()
}

/// The database says what machines there are and what is done on them: nobody else's business.
fn secure(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

async fn refuse_foreign(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let of = |error: sqlx::Error| StoreError::of(format!("the database {}", path.display()), &error);
    let id: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await.map_err(of)?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master")
        .fetch_one(&mut *connection)
        .await
        .map_err(of)?;
    // A database that was being made when the program was killed has tables and no id yet.
    let begun: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await
        .map_err(of)?;
    if id == APPLICATION_ID || (id == 0 && (tables == 0 || begun == 1)) {
        return Ok(());
    }
    Err(StoreError::new(format!("the database {}", path.display()), StoreProblem::Foreign))
}

fn migration_problem(error: &MigrateError) -> StoreProblem {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    match error {
        MigrateError::VersionMissing(found) if *found > known => StoreProblem::Newer { found: *found, known },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            StoreError::of("", error).problem
        }
        other => StoreProblem::Damaged(other.to_string()),
    }
}

async fn installation(connection: &mut SqliteConnection) -> Result<String, sqlx::Error> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    sqlx::query("INSERT INTO meta (name, value) VALUES ('installation', $1) ON CONFLICT (name) DO NOTHING")
        .bind(&id[..8])
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar("SELECT value FROM meta WHERE name = 'installation'").fetch_one(connection).await
}

/// Whether the state was last used on this machine; if so, what tells it is kept up to date.
async fn same_machine(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let this = Machine::this();
    let known: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'machine'")
        .fetch_optional(&mut *connection)
        .await?;
    // What cannot be understood is no machine that we know.
    let same = match known {
        None => true,
        Some(known) => serde_json::from_str::<Machine>(&known).is_ok_and(|known| known.may_be(&this)),
    };
    if same {
        write::put_machine(connection, &this).await?;
    }
    Ok(same)
}

fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

fn timestamp(micros: i64) -> Timestamp {
    // Times outside of what can be written are damage; the nearest one is as good as any.
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
