//! The reference of all settings, written from the tables that the readers use.

use std::fmt::Write;

use super::ROOT;
use super::schema::{Need, Section, Shape};

const INTRODUCTION: &str = "# Configuration reference

<!-- Written by `vmbridge config reference`; edit the tables in bridge/src/config instead. -->

`vmbridge` reads one TOML file. It is checked in full before anything starts, and every mistake is reported at once.

- Relative paths start at the directory of the file.
- **Secrets** are never written into the file, only where they are:
  - `{ file = \"/path\" }`: a file, read again each time the secret is needed, so that it can be replaced. One newline at its
    end is left out. A file that group or others may write is refused; one that everybody may read gives a warning. `\"${CREDENTIALS_DIRECTORY}/name\"` is a systemd credential.
  - `{ env = \"VARIABLE\" }`: an environment variable of the process.
  - `{ ssm_parameter = \"/name\" }`: a parameter of AWS Systems Manager, decrypted; with `region` and `endpoint` if those of
    the AWS configuration do not fit. `\"/aws/reference/secretsmanager/<name>\"` is a secret of AWS Secrets Manager. With
    `field = \"password\"` one field of a JSON object, as the console of Secrets Manager makes them.
- **Environment variables** take precedence over the file: `VMBRIDGE_<SECTION>__<KEY>`, and for sections that are written
  `[[section]]` with the entry's name: `VMBRIDGE_VCENTER__DC1__URL` is `url` of the `[[vcenter]]` named `dc1`. Case does not
  matter; `_` stands for `-` in a name; lists are separated by commas; where a secret is, is said by
  `VMBRIDGE_VCENTER__DC1__PASSWORD__FILE` and the like. A `VMBRIDGE_` variable that fits no setting is a mistake, unless a
  secret refers to it.
";

/// The configuration reference in Markdown, as it stands in `docs/configuration.md`.
#[must_use]
pub fn reference_markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    for section in ROOT.sections {
        write_section(&mut out, section, "");
    }
    out
}

fn write_section(out: &mut String, section: &Section, parent: &str) {
    let path = format!("{parent}{}", section.name);
    let heading = match section.shape {
        Shape::One => format!("[{path}]"),
        Shape::Many => format!("[[{path}]]"),
    };
    push(out, format_args!("\n## `{heading}`\n\n{}\n", section.doc));
    for key in section.keys {
        let need = match key.need() {
            Need::Required => "required".to_owned(),
            Need::Optional => "optional".to_owned(),
            Need::Default("") => "optional".to_owned(),
            Need::Default(default) => format!("default `{default}`"),
        };
        push(out, format_args!("\n### `{}` ({need})\n\n{}\n\n", key.name(), key.doc()));
        push(
            out,
            format_args!("- Allowed: {}\n- Example: `{} = {}`\n", key.allowed(), key.name(), key.example()),
        );
    }
    for inner in section.sections {
        write_section(out, inner, &format!("{path}."));
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}
