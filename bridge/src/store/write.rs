//! Writing. Each function is one transaction.

use jiff::Timestamp;
use sqlx::{Connection as _, SqliteConnection};

use super::{
    Approval, Conclusion, Entry, EntryId, FailureChange, FindingChange, Identity, Machine, OwnedChange,
    Protection, Refusal, ScopeChange, Step, Store, StoreError, VmId, micros,
};
use crate::aws::{NodeId, Place};

impl Store {
    /// Writes what is intended. Only then may it be done.
    ///
    /// # Errors
    /// When it cannot be written; then it must not be done.
    pub async fn begin(&self, entry: &Entry) -> Result<EntryId, StoreError> {
        let of = |error: sqlx::Error| StoreError::of(self.doing("writing the journal"), &error);
        let mut writer = self.writer.lock().await;
        let intent = entry.intent.to_string();
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO journal (id, plan, capability, kind, place, object, label, intent, intended) \
             VALUES ((SELECT coalesce(max(id), 0) + 1 FROM journal), $1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        )
        .bind(&entry.plan)
        .bind(&entry.capability)
        .bind(&entry.kind)
        .bind(&entry.place)
        .bind(&entry.object)
        .bind(&entry.label)
        .bind(intent)
        .bind(micros(entry.intended))
        .fetch_one(&mut *writer)
        .await
        .map_err(of)?;
        Ok(EntryId(id))
    }

    /// Writes how an action ended, and what follows from that, at once.
    ///
    /// # Errors
    /// When it cannot be written; the action then counts as open.
    pub async fn conclude(&self, id: EntryId, conclusion: &Conclusion) -> Result<(), StoreError> {
        let of = |error: sqlx::Error| StoreError::of(self.doing("writing the journal"), &error);
        let mut writer = self.writer.lock().await;
        let mut transaction = writer.begin().await.map_err(of)?;
        sqlx::query("UPDATE journal SET outcome = $1, ended = $2, duration = $3, error = $4 WHERE id = $5")
            .bind(conclusion.outcome.word())
            .bind(micros(conclusion.ended))
            .bind(i64::try_from(conclusion.duration.as_micros()).unwrap_or(i64::MAX))
            .bind(conclusion.error.as_deref())
            .bind(id.0)
            .execute(&mut *transaction)
            .await
            .map_err(of)?;
        for change in &conclusion.owned {
            put_owned(&mut transaction, change).await.map_err(of)?;
        }
        for change in &conclusion.failures {
            put_failure(&mut transaction, change).await.map_err(of)?;
        }
        if let Some(step) = &conclusion.step {
            put_step(&mut transaction, step).await.map_err(of)?;
        }
        if let Some(refusal) = &conclusion.refusal {
            put_refusal(&mut transaction, refusal).await.map_err(of)?;
        }
        if let Some(protection) = &conclusion.protection {
            put_protection(&mut transaction, protection).await.map_err(of)?;
        }
        for change in &conclusion.findings {
            put_finding(&mut transaction, change).await.map_err(of)?;
        }
        transaction.commit().await.map_err(of)
    }

    /// Writes how far enrolments are, and what is known because of that.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put_steps(&self, steps: &[Step]) -> Result<(), StoreError> {
        let of = |error: sqlx::Error| StoreError::of(self.doing("writing enrolments"), &error);
        let mut writer = self.writer.lock().await;
        let mut transaction = writer.begin().await.map_err(of)?;
        for step in steps {
            put_step(&mut transaction, step).await.map_err(of)?;
        }
        transaction.commit().await.map_err(of)
    }

    /// Writes how far snapshots are.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put_protections(&self, protections: &[Protection]) -> Result<(), StoreError> {
        let of = |error: sqlx::Error| StoreError::of(self.doing("writing snapshots"), &error);
        let mut writer = self.writer.lock().await;
        let mut transaction = writer.begin().await.map_err(of)?;
        for protection in protections {
            put_protection(&mut transaction, protection).await.map_err(of)?;
        }
        transaction.commit().await.map_err(of)
    }

    /// Writes what Security Hub has of findings.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put_findings(&self, changes: &[FindingChange]) -> Result<(), StoreError> {
        let of = |error: sqlx::Error| StoreError::of(self.doing("writing findings"), &error);
        let mut writer = self.writer.lock().await;
        let mut transaction = writer.begin().await.map_err(of)?;
        for change in changes {
            put_finding(&mut transaction, change).await.map_err(of)?;
        }
        transaction.commit().await.map_err(of)
    }

    /// Writes what is remembered of openings of windows.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put_scopes(&self, changes: &[ScopeChange]) -> Result<(), StoreError> {
        let of = |error: sqlx::Error| StoreError::of(self.doing("writing windows"), &error);
        let mut writer = self.writer.lock().await;
        let mut transaction = writer.begin().await.map_err(of)?;
        for change in changes {
            let query = match change {
                ScopeChange::Put(scope) => sqlx::query(
                    "INSERT INTO scope (window_id, opens, record) VALUES ($1, $2, $3) \
                     ON CONFLICT (window_id, opens) DO UPDATE SET record = excluded.record",
                )
                .bind(scope.run.window.to_string())
                .bind(micros(scope.run.opens))
                .bind(serde_json::json!(scope).to_string()),
                ScopeChange::Forget { window, opens } => {
                    sqlx::query("DELETE FROM scope WHERE window_id = $1 AND opens = $2")
                        .bind(window.to_string())
                        .bind(micros(*opens))
                }
            };
            query.execute(&mut *transaction).await.map_err(of)?;
        }
        transaction.commit().await.map_err(of)
    }

    /// Forgets that the guest of a VM refused credentials.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn forget_refusals(&self, vm: &VmId) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        sqlx::query("DELETE FROM refusal WHERE vcenter = $1 AND vm = $2")
            .bind(vm.vcenter.to_string())
            .bind(vm.vm.to_string())
            .execute(&mut *writer)
            .await
            .map(drop)
            .map_err(|error| StoreError::of(self.doing("writing refused credentials"), &error))
    }

    /// Writes changes of what is owned that need no action, such as that something is seen to be gone.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn put_owned(&self, changes: &[OwnedChange]) -> Result<(), StoreError> {
        let of = |error: sqlx::Error| StoreError::of(self.doing("writing what is owned"), &error);
        let mut writer = self.writer.lock().await;
        let mut transaction = writer.begin().await.map_err(of)?;
        for change in changes {
            put_owned(&mut transaction, change).await.map_err(of)?;
        }
        transaction.commit().await.map_err(of)
    }

    /// Writes which nodes are which VMs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put_identities(&self, identities: &[Identity]) -> Result<(), StoreError> {
        let of = |error: sqlx::Error| StoreError::of(self.doing("writing identities"), &error);
        let mut writer = self.writer.lock().await;
        let mut transaction = writer.begin().await.map_err(of)?;
        for identity in identities {
            put_identity(&mut transaction, identity).await.map_err(of)?;
        }
        transaction.commit().await.map_err(of)
    }

    /// Forgets which VMs a node is and is not.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn forget_identities(&self, place: &Place, node: &NodeId) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        sqlx::query("DELETE FROM identity WHERE place = $1 AND node = $2")
            .bind(place.as_str())
            .bind(node.as_str())
            .execute(&mut *writer)
            .await
            .map(drop)
            .map_err(|error| StoreError::of(self.doing("writing identities"), &error))
    }

    /// Writes that a person allowed changes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn approve(&self, approval: &Approval) -> Result<(), StoreError> {
        let of = |error: sqlx::Error| StoreError::of(self.doing("writing an approval"), &error);
        let mut writer = self.writer.lock().await;
        let mut transaction = writer.begin().await.map_err(of)?;
        sqlx::query("DELETE FROM approval WHERE expires < $1")
            .bind(micros(approval.approved))
            .execute(&mut *transaction)
            .await
            .map_err(of)?;
        sqlx::query(
            "INSERT INTO approval (plan, changes, approved, expires) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (plan) DO UPDATE SET changes = excluded.changes, approved = excluded.approved, \
             expires = excluded.expires",
        )
        .bind(&approval.plan)
        .bind(serde_json::json!(approval.changes).to_string())
        .bind(micros(approval.approved))
        .bind(micros(approval.expires))
        .execute(&mut *transaction)
        .await
        .map_err(of)?;
        transaction.commit().await.map_err(of)
    }

    /// Writes what fails, or no longer does.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put_failure(&self, change: &FailureChange) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        put_failure(&mut writer, change)
            .await
            .map_err(|error| StoreError::of(self.doing("writing what failed"), &error))
    }

    /// Makes this machine the one that the state belongs to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn claim(&self) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        put_machine(&mut writer, &Machine::this())
            .await
            .map_err(|error| StoreError::of(self.doing("claiming the state"), &error))?;
        self.foreign_machine.store(false, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    /// Remembers that this installation was another before: findings with its mark are ours from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put_former(&self, installation: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        put_former(&mut writer, installation, now)
            .await
            .map_err(|error| StoreError::of(self.doing("taking over"), &error))
    }

    /// Goes on as another installation, whose marks are on what is owned, and owns these. What was told under the id that this one
    /// had until now stays its own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn take_over(
        mut self,
        installation: &str,
        owned: &[OwnedChange],
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let doing = self.doing("taking over");
        let of = |error: sqlx::Error| StoreError::of(doing.clone(), &error);
        let writer = self.writer.get_mut();
        let mut transaction = writer.begin().await.map_err(of)?;
        put_former(&mut transaction, &self.installation, now).await.map_err(of)?;
        sqlx::query("UPDATE meta SET value = $1 WHERE name = 'installation'")
            .bind(installation)
            .execute(&mut *transaction)
            .await
            .map_err(of)?;
        for change in owned {
            put_owned(&mut transaction, change).await.map_err(of)?;
        }
        transaction.commit().await.map_err(of)?;
        self.installation = installation.to_owned();
        Ok(self)
    }
}

async fn put_former(
    connection: &mut SqliteConnection,
    installation: &str,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
        .bind(format!("{}{installation}", super::FORMER))
        .bind(now.to_string())
        .execute(connection)
        .await
        .map(drop)
}

async fn put_identity(connection: &mut SqliteConnection, identity: &Identity) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO identity (place, node, vcenter, vm, instance, basis, since) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (place, node, vcenter, vm) DO UPDATE SET \
         instance = excluded.instance, basis = excluded.basis, since = excluded.since",
    )
    .bind(identity.place.as_str())
    .bind(identity.node.as_str())
    .bind(identity.vm.vcenter.to_string())
    .bind(&*identity.vm.vm)
    .bind(identity.instance.map(|uuid| uuid.to_string()))
    .bind(identity.basis.map_or("unlinked", super::Basis::word))
    .bind(micros(identity.since))
    .execute(connection)
    .await
    .map(drop)
}

async fn put_step(connection: &mut SqliteConnection, step: &Step) -> Result<(), sqlx::Error> {
    let query = match &step.enrolment {
        Some(enrolment) => sqlx::query(
            "INSERT INTO enrolment (vcenter, vm, record) VALUES ($1, $2, $3) \
             ON CONFLICT (vcenter, vm) DO UPDATE SET record = excluded.record",
        )
        .bind(step.vm.vcenter.to_string())
        .bind(step.vm.vm.to_string())
        .bind(serde_json::json!(enrolment).to_string()),
        None => sqlx::query("DELETE FROM enrolment WHERE vcenter = $1 AND vm = $2")
            .bind(step.vm.vcenter.to_string())
            .bind(step.vm.vm.to_string()),
    };
    query.execute(&mut *connection).await?;
    if let Some(identity) = &step.identity {
        put_identity(connection, identity).await?;
    }
    for change in &step.owned {
        put_owned(connection, change).await?;
    }
    Ok(())
}

async fn put_protection(
    connection: &mut SqliteConnection,
    protection: &Protection,
) -> Result<(), sqlx::Error> {
    let Protection { vm, record } = protection;
    sqlx::query(
        "INSERT INTO protection (vcenter, vm, id, record, ended) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (vcenter, vm, id) DO UPDATE SET record = excluded.record, ended = excluded.ended",
    )
    .bind(vm.vcenter.to_string())
    .bind(vm.vm.to_string())
    .bind(record.key().as_str())
    .bind(serde_json::json!(record).to_string())
    .bind((!record.stage.is_active()).then(|| micros(record.since)))
    .execute(connection)
    .await
    .map(drop)
}

async fn put_finding(connection: &mut SqliteConnection, change: &FindingChange) -> Result<(), sqlx::Error> {
    let query = match &change.record {
        Some(record) => sqlx::query(
            "INSERT INTO finding (id, record) VALUES ($1, $2) \
             ON CONFLICT (id) DO UPDATE SET record = excluded.record",
        )
        .bind(change.id.as_str().to_owned())
        .bind(serde_json::json!(record).to_string()),
        None => sqlx::query("DELETE FROM finding WHERE id = $1").bind(change.id.as_str().to_owned()),
    };
    query.execute(connection).await.map(drop)
}

async fn put_refusal(connection: &mut SqliteConnection, refusal: &Refusal) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO refusal (vcenter, vm, credentials, fingerprint, since) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (vcenter, vm, credentials) DO UPDATE SET \
         fingerprint = excluded.fingerprint, since = excluded.since",
    )
    .bind(refusal.vm.vcenter.to_string())
    .bind(refusal.vm.vm.to_string())
    .bind(refusal.credentials.to_string())
    .bind(refusal.fingerprint.to_string())
    .bind(micros(refusal.since))
    .execute(connection)
    .await
    .map(drop)
}

async fn put_owned(connection: &mut SqliteConnection, change: &OwnedChange) -> Result<(), sqlx::Error> {
    let holder = &change.holder;
    let query = match &change.owned {
        Some(owned) => sqlx::query(
            "INSERT INTO owned (kind, place, object, name, value, rule, written) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, place, object, name) DO UPDATE SET \
             value = excluded.value, rule = excluded.rule, written = excluded.written",
        )
        .bind(holder.kind.word())
        .bind(holder.place.to_string())
        .bind(holder.object.to_string())
        .bind(change.name.to_string())
        .bind(owned.value.as_deref().map(str::to_owned))
        .bind(owned.rule.to_string())
        .bind(micros(owned.written)),
        None => sqlx::query("DELETE FROM owned WHERE kind = $1 AND place = $2 AND object = $3 AND name = $4")
            .bind(holder.kind.word())
            .bind(holder.place.to_string())
            .bind(holder.object.to_string())
            .bind(change.name.to_string()),
    };
    query.execute(connection).await.map(drop)
}

async fn put_failure(connection: &mut SqliteConnection, change: &FailureChange) -> Result<(), sqlx::Error> {
    let failing = &change.failing;
    let query = match &change.failure {
        Some(failure) => sqlx::query(
            "INSERT INTO failure (capability, place, object, failures, since, retry_at, reason) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (capability, place, object) DO UPDATE SET \
             failures = excluded.failures, since = excluded.since, retry_at = excluded.retry_at, \
             reason = excluded.reason",
        )
        .bind(failing.capability.to_string())
        .bind(failing.place.to_string())
        .bind(failing.object.to_string())
        .bind(failure.failures)
        .bind(micros(failure.since))
        .bind(micros(failure.retry_at))
        .bind(failure.reason.clone()),
        None => sqlx::query("DELETE FROM failure WHERE capability = $1 AND place = $2 AND object = $3")
            .bind(failing.capability.to_string())
            .bind(failing.place.to_string())
            .bind(failing.object.to_string()),
    };
    query.execute(connection).await.map(drop)
}

pub(super) async fn put_machine(
    connection: &mut SqliteConnection,
    machine: &Machine,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO meta (name, value) VALUES ('machine', $1) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(serde_json::json!(machine).to_string())
    .execute(connection)
    .await
    .map(drop)
}
