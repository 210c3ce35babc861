//! `vmbridge config`

mod show;

use clap::Subcommand;

use super::{Context, Exit, Failure, output};

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum Subject {
    /// Check the configuration and report every mistake. Nothing is connected to.
    Check,
    /// Print the effective configuration: the file, the environment and the defaults. Secrets are shown as references.
    Show,
    /// Print the reference of all settings, in Markdown.
    Reference,
}

pub(super) fn run(context: &Context, subject: &Subject) -> Result<Exit, Failure> {
    match subject {
        Subject::Reference => {
            output::write(|out| out.write_all(crate::config::reference_markdown().as_bytes()))?;
        }
        Subject::Show => {
            let (path, config) = context.load()?;
            output::write(|out| {
                writeln!(out, "# The effective configuration of {}", path.display())?;
                out.write_all(show::toml(&config).as_bytes())
            })?;
        }
        Subject::Check => {
            let (path, config) = context.load()?;
            let (vcenters, organisations) = (config.vcenters.len(), config.vmc.len());
            output::write(|out| {
                let path = path.display();
                writeln!(
                    out,
                    "{path} is valid: [[vcenter]] {vcenters}, [[vmc]] {organisations}. `vmbridge check` tries the connections."
                )
            })?;
        }
    }
    Ok(Exit::Done)
}
