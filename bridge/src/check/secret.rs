//! Whether a secret can be read, and who else could.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use secrecy::SecretString;

use super::course::Finding;
use crate::secret::{SecretRef, SecretResolver, SecretSource};

/// Fetches `secret`; its value goes on to the log-in and nowhere else.
pub(super) async fn read(resolver: &SecretResolver, secret: &SecretRef) -> Finding<SecretString> {
    let value = match resolver.resolve(secret).await {
        Ok(value) => value,
        Err(error) => return Finding::fail(vsphere_client::error::chain(&error), advice(secret.source())),
    };
    match secret.source() {
        SecretSource::File(path) => file(value, path).await,
        source @ (SecretSource::Env(_) | SecretSource::SsmParameter { .. }) => {
            Finding::pass(value, source.to_string())
        }
    }
}

async fn file(value: SecretString, path: &Path) -> Finding<SecretString> {
    // It was read just now; if it is gone already there is no mode to judge.
    let Ok(metadata) = tokio::fs::metadata(path).await else {
        return Finding::pass(value, format!("file {}", path.display()));
    };
    let mode = metadata.permissions().mode() & 0o7777;
    let detail = format!("file {} (mode {mode:04o})", path.display());
    if mode & 0o007 == 0 {
        Finding::pass(value, detail)
    } else {
        let detail = format!("{detail}: every user of this machine can read it");
        Finding::warn(value, detail, format!("chmod o= {}", path.display()))
    }
}

fn advice(source: &SecretSource) -> String {
    match source {
        SecretSource::File(path) => {
            format!(
                "let the user that vmbridge runs as read {}, for example mode 0400 and that owner",
                path.display()
            )
        }
        SecretSource::Env(variable) => format!("set {variable} in the environment of vmbridge"),
        SecretSource::SsmParameter { name, .. } => {
            format!(
                "try with the same AWS credentials: aws ssm get-parameter --with-decryption --name {name} --query Parameter.Version"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::course::Course;
    use crate::check::report::{Outcome, Row, SourceKind};
    use crate::config::Environment;

    async fn row(source: SecretSource) -> Row {
        let environment: Environment = [("HERE", "hunter2")].into_iter().collect();
        let resolver = SecretResolver::new(environment);
        let mut course = Course::new(SourceKind::Vcenter, "dc1", "", Duration::from_secs(5));
        course.try_it("secret", read(&resolver, &SecretRef::new("vcenter.dc1.password", source))).await;
        course.finish(&[]).checks.remove(0)
    }

    #[tokio::test]
    async fn a_readable_secret_passes_and_is_not_shown() {
        let row = row(SecretSource::Env("HERE".into())).await;
        assert_eq!((row.outcome, row.detail.as_str()), (Outcome::Pass, "environment variable HERE"));
        assert!(!format!("{row:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn what_cannot_be_read_says_what_to_do() {
        let row = row(SecretSource::Env("ABSENT".into())).await;
        assert_eq!(row.outcome, Outcome::Fail);
        assert!(row.detail.contains("it is not set"), "{row:?}");
        assert_eq!(row.fix.as_deref(), Some("set ABSENT in the environment of vmbridge"));
    }

    #[tokio::test]
    async fn a_file_that_everybody_can_read_is_warned_about() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, "hunter2\n").unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o400);
        assert_eq!(row(SecretSource::File(path.clone())).await.outcome, Outcome::Pass);
        mode(0o644);
        let row = row(SecretSource::File(path.clone())).await;
        assert_eq!(row.outcome, Outcome::Warn);
        assert_eq!(row.fix, Some(format!("chmod o= {}", path.display())));
    }
}
