//! Configurations for what a test runs against, in a folder of their own.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;
use vmbridge_simulator::Vcenter;

use crate::program::Vmbridge;
use crate::vcsim::Vcsim;

/// A folder with a configuration, and the secrets that it refers to.
pub struct Estate {
    folder: TempDir,
    text: String,
}

/// One vCenter to configure.
pub struct Entry<'a> {
    /// Name in the configuration.
    pub name: &'a str,
    /// Its address.
    pub url: &'a str,
    /// The account.
    pub username: &'a str,
    /// Its password.
    pub password: &'a str,
    /// PEM of the authority, if it is to be trusted.
    pub ca_pem: Option<&'a str>,
    /// More lines of the entry.
    pub more: &'a str,
}

impl Estate {
    /// Nothing yet, with short times, so that tests do not wait.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new() -> Result<Self> {
        let text = "[http]\nlisten = \"127.0.0.1:0\"\n\n[limits]\nmax_retry_delay = \"1s\"\nconnect_timeout = \"5s\"\nrequest_timeout = \"20s\"\nsddc_refresh = \"10s\"\n\n";
        Ok(Self { folder: tempfile::tempdir()?, text: text.to_owned() })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces a piece of the configuration.
    pub fn replace(&mut self, old: &str, new: &str) {
        self.text = self.text.replace(old, new);
    }

    /// Adds lines to the configuration.
    pub fn add(&mut self, lines: &str) {
        self.text.push_str(lines);
        self.text.push('\n');
    }

    /// Writes a file that only its owner may read, and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn secret(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder().join(name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }

    /// Adds a `[[vcenter]]`.
    ///
    /// # Errors
    /// When its files cannot be written.
    pub fn vcenter(&mut self, entry: &Entry<'_>) -> Result<()> {
        let Entry { name, url, username, password, ca_pem, more } = entry;
        let password = self.secret(&format!("{name}-password"), password)?;
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.text,
            "[[vcenter]]\nname = {name:?}\nurl = {url:?}\nusername = {username:?}\npassword = {{ file = {password:?} }}"
        );
        if let Some(pem) = ca_pem {
            let path = self.secret(&format!("{name}-ca.pem"), pem)?;
            let _ = writeln!(self.text, "ca_file = {path:?}");
        }
        self.add(more);
        Ok(())
    }

    /// Adds a vCenter of the simulator.
    ///
    /// # Errors
    /// When its files cannot be written.
    pub fn simulated(&mut self, name: &str, vcenter: &Vcenter, more: &str) -> Result<()> {
        self.vcenter(&Entry {
            name,
            url: &vcenter.url(),
            username: vcenter.username(),
            password: vcenter.password(),
            ca_pem: Some(&vcenter.ca_pem()),
            more,
        })
    }

    /// Adds a vcsim.
    ///
    /// # Errors
    /// When its files cannot be written.
    pub fn vcsim(&mut self, name: &str, vcsim: &Vcsim) -> Result<()> {
        let pem = std::fs::read_to_string(vcsim.endpoint("caFile")?)?;
        let (url, username, password) =
            (vcsim.endpoint("url")?, vcsim.endpoint("username")?, vcsim.endpoint("password")?);
        self.vcenter(&Entry { name, url, username, password, ca_pem: Some(&pem), more: "" })
    }

    /// The configuration's path, with what has been added up to now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn config(&self) -> Result<String> {
        let path = self.secret("vmbridge.toml", &self.text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// `vmbridge` with this configuration and these arguments.
    ///
    /// # Errors
    /// When the configuration cannot be written or the program was not built.
    pub fn vmbridge(&self, arguments: &[&str]) -> Result<Vmbridge> {
        let config = self.config()?;
        Vmbridge::new(&[&["--config", &config], arguments].concat())
    }
}
