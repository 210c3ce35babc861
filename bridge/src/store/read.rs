//! Reading, also while another process writes.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{ConnectOptions as _, Row as _, SqliteConnection};
use tokio::sync::Mutex;

use super::{
    Approval, Basis, Contents, DATABASE, Entry, EntryId, Failing, Failure, FailureChange, Holder, Identity,
    Outcome, Owned, OwnedChange, OwnedKind, Protection, Refusal, Store, StoreError, StoreProblem, VmId,
    micros, migration_problem, options, refuse_foreign, timestamp,
};

/// A view of the database that changes nothing.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Mutex<SqliteConnection>,
    pub(super) doing: String,
}

/// Which entries of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Of this capability.
    pub capability: Option<String>,
    /// Of this VM (its name), node or managed object id.
    pub object: Option<String>,
    /// That ended in this way.
    pub outcome: Option<Outcome>,
    /// Only those whose end is not known.
    pub open: bool,
    /// The latest so many.
    pub limit: Option<u32>,
}

impl Reader {
    /// Opens the database in `directory`.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub async fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(DATABASE);
        let doing = format!("the database {}", path.display());
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(StoreError::new(doing, StoreProblem::Missing)),
            Err(error) => return Err(StoreError::of_io(&path, error)),
        }
        // Not opened as read-only: SQLite could then not read what is in the write-ahead log of a process that was killed.
        let mut connection =
            options(&path).connect().await.map_err(|error| StoreError::of(doing.clone(), &error))?;
        refuse_foreign(&mut connection, &path).await?;
        let of = |error: sqlx::Error| StoreError::of(doing.clone(), &error);
        sqlx::query("PRAGMA query_only = 1").execute(&mut connection).await.map_err(of)?;
        let found: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&mut connection)
            .await
            .map_err(of)?;
        let known = super::MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        match found {
            Some(found) if found == known => {}
            Some(found) if found > known => {
                let missing = sqlx::migrate::MigrateError::VersionMissing(found);
                return Err(StoreError::new(doing, migration_problem(&missing)));
            }
            // It is brought up to date by the process that writes.
            Some(_) | None => return Err(StoreError::new(doing, StoreProblem::Missing)),
        }
        Ok(Self { connection: Mutex::new(connection), doing })
    }

    /// Everything but the closed part of the journal.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn contents(&self) -> Result<Contents, StoreError> {
        contents(&mut *self.connection.lock().await, &self.doing).await
    }

    /// The id of the installation that the database belongs to.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn installation(&self) -> Result<String, StoreError> {
        sqlx::query_scalar("SELECT value FROM meta WHERE name = 'installation'")
            .fetch_one(&mut *self.connection.lock().await)
            .await
            .map_err(|error| StoreError::of(self.doing.clone(), &error))
    }

    /// Entries of the journal, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn journal(&self, query: &Query) -> Result<Vec<Entry>, StoreError> {
        let outcome = query.outcome.map(Outcome::word);
        let limit = query.limit.map_or(i64::MAX, i64::from);
        let rows = sqlx::query(
            "SELECT * FROM (SELECT * FROM journal WHERE ($1 IS NULL OR intended >= $1) \
             AND ($2 IS NULL OR capability = $2) AND ($3 IS NULL OR object = $3 OR label = $3) \
             AND ($4 IS NULL OR outcome = $4) AND ($5 = 0 OR outcome IS NULL) \
             ORDER BY id DESC LIMIT $6) AS latest ORDER BY id",
        )
        .bind(query.since.map(micros))
        .bind(query.capability.clone())
        .bind(query.object.clone())
        .bind(outcome)
        .bind(i64::from(query.open))
        .bind(limit)
        .fetch_all(&mut *self.connection.lock().await)
        .await
        .map_err(|error| StoreError::of(self.doing.clone(), &error))?;
        rows.iter().map(|row| entry(row, &self.doing)).collect()
    }
}

impl Store {
    /// Everything but the closed part of the journal.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn contents(&self) -> Result<Contents, StoreError> {
        contents(&mut *self.writer.lock().await, &self.doing("reading the state")).await
    }

    /// Entries of the journal since a moment, for counting what was changed lately.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn journal_since(&self, since: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let doing = self.doing("reading the journal");
        let rows = sqlx::query("SELECT * FROM journal WHERE intended >= $1 ORDER BY id")
            .bind(micros(since))
            .fetch_all(&mut *self.writer.lock().await)
            .await
            .map_err(|error| StoreError::of(doing.clone(), &error))?;
        rows.iter().map(|row| entry(row, &doing)).collect()
    }
}

async fn contents(connection: &mut SqliteConnection, doing: &str) -> Result<Contents, StoreError> {
    let of = |error: sqlx::Error| StoreError::of(doing.to_owned(), &error);
    let mut contents = Contents::default();
    let former: Vec<String> =
        sqlx::query_scalar("SELECT name FROM meta WHERE name LIKE 'former/%' ORDER BY name")
            .fetch_all(&mut *connection)
            .await
            .map_err(of)?;
    let prefix = super::FORMER;
    contents.former = former.iter().filter_map(|name| name.strip_prefix(prefix)).map(Into::into).collect();
    let rows = sqlx::query("SELECT * FROM identity ORDER BY place, node, vcenter, vm")
        .fetch_all(&mut *connection)
        .await
        .map_err(of)?;
    for row in &rows {
        contents.identities.push(identity(row, doing)?);
    }
    let rows = sqlx::query("SELECT * FROM owned ORDER BY kind, place, object, name")
        .fetch_all(&mut *connection)
        .await
        .map_err(of)?;
    let mut holder: Option<Holder> = None;
    for row in &rows {
        let cells = Cells { row, table: "owned", doing };
        let kind: String = cells.get("kind")?;
        let kind = OwnedKind::from_word(&kind).ok_or_else(|| cells.strange("kind", &kind))?;
        let (place, object): (String, String) = (cells.get("place")?, cells.get("object")?);
        // Neighbours have the same holder: one copy of the texts is enough.
        let shared = match holder.take() {
            Some(last) if last.kind == kind && *last.place == *place && *last.object == *object => last,
            _ => Holder { kind, place: place.into(), object: object.into() },
        };
        contents.owned.push(OwnedChange {
            holder: shared.clone(),
            name: cells.get::<String>("name")?.into(),
            owned: Some(Owned {
                value: cells.get::<Option<String>>("value")?.map(Arc::from),
                rule: cells.get::<String>("rule")?.into(),
                written: timestamp(cells.get("written")?),
            }),
        });
        holder = Some(shared);
    }
    let rows = sqlx::query("SELECT * FROM journal WHERE outcome IS NULL ORDER BY id")
        .fetch_all(&mut *connection)
        .await
        .map_err(of)?;
    for row in &rows {
        contents.open.push(entry(row, doing)?);
    }
    let rows = sqlx::query("SELECT * FROM failure").fetch_all(&mut *connection).await.map_err(of)?;
    for row in &rows {
        let cells = Cells { row, table: "failure", doing };
        contents.failures.push(FailureChange {
            failing: Failing {
                capability: cells.get::<String>("capability")?.into(),
                place: cells.get::<String>("place")?.into(),
                object: cells.get::<String>("object")?.into(),
            },
            failure: Some(Failure {
                failures: u32::try_from(cells.get::<i64>("failures")?).unwrap_or(u32::MAX),
                since: timestamp(cells.get("since")?),
                retry_at: timestamp(cells.get("retry_at")?),
                reason: cells.get("reason")?,
            }),
        });
    }
    let rows = sqlx::query("SELECT * FROM approval").fetch_all(&mut *connection).await.map_err(of)?;
    for row in &rows {
        let cells = Cells { row, table: "approval", doing };
        let changes: String = cells.get("changes")?;
        contents.approvals.push(Approval {
            plan: cells.get("plan")?,
            changes: serde_json::from_str(&changes).map_err(|_| cells.strange("changes", &changes))?,
            approved: timestamp(cells.get("approved")?),
            expires: timestamp(cells.get("expires")?),
        });
    }
    let rows = sqlx::query("SELECT * FROM enrolment ORDER BY vcenter, vm")
        .fetch_all(&mut *connection)
        .await
        .map_err(of)?;
    for row in &rows {
        let cells = Cells { row, table: "enrolment", doing };
        let record: String = cells.get("record")?;
        let enrolment = serde_json::from_str(&record).map_err(|_| cells.strange("record", &record))?;
        contents.enrolments.push((cells.vm()?, enrolment));
    }
    let rows = sqlx::query("SELECT * FROM refusal ORDER BY vcenter, vm, credentials")
        .fetch_all(&mut *connection)
        .await
        .map_err(of)?;
    for row in &rows {
        let cells = Cells { row, table: "refusal", doing };
        contents.refusals.push(Refusal {
            vm: cells.vm()?,
            credentials: cells.get::<String>("credentials")?.into(),
            fingerprint: cells.get::<String>("fingerprint")?.into(),
            since: timestamp(cells.get("since")?),
        });
    }
    let rows = sqlx::query("SELECT * FROM protection ORDER BY vcenter, vm, id")
        .fetch_all(&mut *connection)
        .await
        .map_err(of)?;
    for row in &rows {
        let cells = Cells { row, table: "protection", doing };
        let record: String = cells.get("record")?;
        let record = serde_json::from_str(&record).map_err(|_| cells.strange("record", &record))?;
        contents.protections.push(Protection { vm: cells.vm()?, record });
    }
    let rows = sqlx::query("SELECT * FROM scope ORDER BY opens, window_id")
        .fetch_all(&mut *connection)
        .await
        .map_err(of)?;
    for row in &rows {
        let cells = Cells { row, table: "scope", doing };
        let record: String = cells.get("record")?;
        contents.scopes.push(serde_json::from_str(&record).map_err(|_| cells.strange("record", &record))?);
    }
    let rows =
        sqlx::query("SELECT * FROM finding ORDER BY id").fetch_all(&mut *connection).await.map_err(of)?;
    for row in &rows {
        let cells = Cells { row, table: "finding", doing };
        let record: String = cells.get("record")?;
        contents.findings.push(serde_json::from_str(&record).map_err(|_| cells.strange("record", &record))?);
    }
    Ok(contents)
}

/// The cells of a row, with an error that says where they are.
struct Cells<'a> {
    row: &'a SqliteRow,
    table: &'static str,
    doing: &'a str,
}

impl<'a> Cells<'a> {
    fn get<T>(&self, name: &str) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'a, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.row.try_get(name).map_err(|error| {
            let detail = format!("{name}: {error}");
            StoreError::new(self.doing, StoreProblem::Content { table: self.table, detail })
        })
    }

    fn vm(&self) -> Result<VmId, StoreError> {
        let vcenter: String = self.get("vcenter")?;
        Ok(VmId {
            vcenter: vcenter.parse().map_err(|_| self.strange("vcenter", &vcenter))?,
            vm: self.get::<String>("vm")?.into(),
        })
    }

    fn strange(&self, name: &str, value: &str) -> StoreError {
        let value: String = value.chars().take(60).collect();
        let detail = format!("{name} is {value:?}");
        StoreError::new(self.doing, StoreProblem::Content { table: self.table, detail })
    }
}

fn identity(row: &SqliteRow, doing: &str) -> Result<Identity, StoreError> {
    let cells = Cells { row, table: "identity", doing };
    let basis: String = cells.get("basis")?;
    let instance: Option<String> = cells.get("instance")?;
    Ok(Identity {
        place: cells.get::<String>("place")?.into(),
        node: cells.get::<String>("node")?.into(),
        vm: cells.vm()?,
        instance: match instance {
            Some(text) => Some(text.parse().map_err(|_| cells.strange("instance", &text))?),
            None => None,
        },
        basis: match basis.as_str() {
            "unlinked" => None,
            word => Some(Basis::from_word(word).ok_or_else(|| cells.strange("basis", word))?),
        },
        since: timestamp(cells.get("since")?),
    })
}

fn entry(row: &SqliteRow, doing: &str) -> Result<Entry, StoreError> {
    let cells = Cells { row, table: "journal", doing };
    let intent: String = cells.get("intent")?;
    let outcome: Option<String> = cells.get("outcome")?;
    Ok(Entry {
        id: EntryId(cells.get("id")?),
        plan: cells.get("plan")?,
        capability: cells.get("capability")?,
        kind: cells.get("kind")?,
        place: cells.get("place")?,
        object: cells.get("object")?,
        label: cells.get("label")?,
        intent: serde_json::from_str(&intent).map_err(|_| cells.strange("intent", &intent))?,
        intended: timestamp(cells.get("intended")?),
        outcome: match outcome {
            Some(word) => Some(Outcome::from_word(&word).ok_or_else(|| cells.strange("outcome", &word))?),
            None => None,
        },
        ended: cells.get::<Option<i64>>("ended")?.map(timestamp),
        duration_micros: cells.get("duration")?,
        error: cells.get("error")?,
    })
}
