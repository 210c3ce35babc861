//! Looking after the database: check, backup, export, and dropping what is old.

use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::{Query, Reader, Store, StoreError, micros};

/// Something that is wrong with the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub problem: String,
}

impl Reader {
    /// Looks at every page and row. Nothing is wrong when nothing is found.
    ///
    /// # Errors
    /// When it cannot be read at all.
    pub async fn check(&self) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        {
            let mut connection = self.connection.lock().await;
            let lines: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(100)")
                .fetch_all(&mut *connection)
                .await
                .map_err(|error| StoreError::of(self.doing.clone(), &error))?;
            findings.extend(lines.into_iter().filter(|line| line != "ok").map(|problem| Finding { problem }));
        }
        if findings.is_empty() {
            // What SQLite finds whole may still not make sense to us.
            if let Err(error) = self.contents().await {
                findings.push(Finding { problem: error.to_string() });
            }
            if let Err(error) = self.journal(&Query::default()).await {
                findings.push(Finding { problem: error.to_string() });
            }
        }
        Ok(findings)
    }

    /// Writes a copy of the whole database to a new file, also while another process writes.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let doing = format!("the backup {}", to.display());
        if to.exists() {
            let error =
                std::io::Error::new(std::io::ErrorKind::AlreadyExists, "there is such a file already");
            return Err(StoreError::of_io(to, error));
        }
        let of = |error: sqlx::Error| StoreError::of(doing.clone(), &error);
        let mut connection = self.connection.lock().await;
        // The copy is a write, if not to this database.
        sqlx::query("PRAGMA query_only = 0").execute(&mut *connection).await.map_err(of)?;
        let copied = sqlx::query("VACUUM INTO $1")
            .bind(to.to_string_lossy().into_owned())
            .execute(&mut *connection)
            .await
            .map_err(of);
        sqlx::query("PRAGMA query_only = 1").execute(&mut *connection).await.map_err(of)?;
        copied?;
        super::secure(to).map_err(|error| StoreError::of_io(to, error))
    }

    /// Writes everything as JSON, one object on a line, each with its `table`.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn export(&self, out: &mut (dyn Write + Send)) -> Result<(), ExportError> {
        let contents = self.contents().await?;
        let mut line = |table: &str, value: serde_json::Value| {
            let mut object = serde_json::json!({ "table": table });
            if let (Some(object), serde_json::Value::Object(fields)) = (object.as_object_mut(), value) {
                object.extend(fields);
            }
            writeln!(out, "{object}")
        };
        let (installation, former) = (self.installation().await?, &contents.former);
        line("meta", serde_json::json!({ "installation": installation, "former": former }))?;
        for identity in &contents.identities {
            line("identity", serde_json::json!(identity))?;
        }
        for change in &contents.owned {
            let Some(owned) = &change.owned else { continue };
            line(
                "owned",
                serde_json::json!({
                    "kind": change.holder.kind, "place": change.holder.place, "object": change.holder.object,
                    "name": change.name, "value": owned.value, "rule": owned.rule, "written": owned.written,
                }),
            )?;
        }
        for change in &contents.failures {
            let Some(failure) = &change.failure else { continue };
            line(
                "failure",
                serde_json::json!({
                    "capability": change.failing.capability, "place": change.failing.place,
                    "object": change.failing.object, "failures": failure.failures, "since": failure.since,
                    "retryAt": failure.retry_at, "reason": failure.reason,
                }),
            )?;
        }
        for approval in &contents.approvals {
            line(
                "approval",
                serde_json::json!({
                    "plan": approval.plan, "changes": approval.changes, "approved": approval.approved,
                    "expires": approval.expires,
                }),
            )?;
        }
        for (vm, enrolment) in &contents.enrolments {
            line("enrolment", serde_json::json!({ "vm": vm, "record": enrolment }))?;
        }
        for refusal in &contents.refusals {
            line(
                "refusal",
                serde_json::json!({
                    "vm": refusal.vm, "credentials": refusal.credentials, "fingerprint": refusal.fingerprint,
                    "since": refusal.since,
                }),
            )?;
        }
        for protection in &contents.protections {
            line("protection", serde_json::json!({ "vm": protection.vm, "record": protection.record }))?;
        }
        for scope in &contents.scopes {
            line("scope", serde_json::json!(scope))?;
        }
        for record in &contents.findings {
            line("finding", serde_json::json!(record))?;
        }
        for entry in self.journal(&Query::default()).await? {
            line("journal", serde_json::json!(entry))?;
        }
        Ok(())
    }
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The output cannot be written.
    #[error("the export cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl Store {
    /// Drops what ended before `before` from the journal, and snapshots that are long gone. The newest entry always stays, so that numbers are never used twice.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut writer = self.writer.lock().await;
        let done = sqlx::query(
            "DELETE FROM journal WHERE outcome IS NOT NULL AND ended < $1 AND id < (SELECT max(id) FROM journal)",
        )
        .bind(micros(before))
        .execute(&mut *writer)
        .await
        .map_err(|error| StoreError::of(self.doing("dropping old entries"), &error))?;
        sqlx::query("DELETE FROM protection WHERE ended < $1")
            .bind(micros(before))
            .execute(&mut *writer)
            .await
            .map_err(|error| StoreError::of(self.doing("dropping old entries"), &error))?;
        Ok(done.rows_affected())
    }
}
