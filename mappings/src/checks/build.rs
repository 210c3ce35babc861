//! How old a build of ESXi is. vCenter tells the number of a build and not its day, so a table has the days.
//!
//! A table is never complete: patches for single customers are in none, and this one ends when the program was made. So what it says
//! of a build is the day on which it was out *at the latest*, and where it cannot say that, nothing: a host is then never called old
//! that may be new.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::mistake::Mistake;
use super::read::Tree;
use super::reading::Reading;
use super::version::ApiVersion;

const FILE: &str = "builds.toml";
const TEXT: &str = include_str!("../../defaults/builds.toml");

/// The days of the builds, by version.
type Table = BTreeMap<ApiVersion, BTreeMap<u64, Date>>;

/// The table that comes with the program.
///
/// # Errors
/// Never in a program that passed its tests.
pub(super) fn table() -> Result<&'static Table, &'static Mistake> {
    static READ: LazyLock<Result<Table, Box<Mistake>>> = LazyLock::new(|| {
        read(TEXT).map_err(|message| {
            Box::new(Mistake {
                file: FILE.to_owned(),
                line: None,
                rule: None,
                key: None,
                message,
                help: "write versions with their builds, and of each build its day: 24784735 = 2025-07-15"
                    .to_owned(),
            })
        })
    });
    READ.as_ref().map_err(|mistake| &**mistake)
}

/// Reads a table, or says what is wrong with it.
fn read(text: &str) -> Result<Table, String> {
    let lines: BTreeMap<String, BTreeMap<String, toml::value::Datetime>> =
        toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let mut table = Table::new();
    for (name, builds) in lines {
        let version = ApiVersion::parse(&name).ok_or_else(|| format!("`{name}` is not a version"))?;
        let line = table.entry(version).or_default();
        for (number, day) in builds {
            let build = number.parse().map_err(|_| format!("`{number}` is not the number of a build"))?;
            let day = day.to_string().parse().map_err(|_| format!("`{day}` is not a day"))?;
            line.insert(build, day);
        }
        // Within a version numbers grow with time; without that the next later build would bound nothing.
        if !line.values().is_sorted() {
            return Err(format!("the days of {version} are not in the order of its builds"));
        }
    }
    Ok(table)
}

/// The day on which a build was out at the latest: its own, or else that of the next later one of the same version.
fn out_at_the_latest(table: &Table, version: ApiVersion, build: u64) -> Option<Date> {
    table.get(&version.release())?.range(build..).next().map(|(_, day)| *day)
}

/// When the build of a product (`AboutInfo`, as in `config.product`) was out at the latest, as RFC 3339 writes times. Missing: the
/// table does not say, or vCenter told neither version nor build.
pub(super) fn released<T: Tree>(product: T) -> Reading {
    let (mut version, mut build) = (None, None);
    product.children(&mut |name, child| {
        let field = match name {
            "version" => &mut version,
            "build" => &mut build,
            _ => return,
        };
        *field = field.take().or_else(|| child.text().map(|text| text.trim().to_owned()));
    });
    let Ok(table) = table() else { return Reading::Unreadable };
    let day = version
        .and_then(|version| ApiVersion::parse(&version))
        .zip(build.and_then(|build| build.parse().ok()))
        .and_then(|(version, build)| out_at_the_latest(table, version, build));
    let time = day.and_then(|day| TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok());
    time.map_or(Reading::Missing, |time| Reading::One(time.to_string().into()))
}

#[cfg(test)]
mod tests;
