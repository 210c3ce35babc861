//! The checks of one organisation of VMware Cloud on AWS, and of the vCenters of its SDDCs.

use futures_util::future::join_all;
use url::Url;
use vsphere_client::vmc::{Sddc, VmcClient};

use super::course::{Blocked, Course, Finding};
use super::report::{SourceKind, SourceReport};
use super::vcenter::{self, Target, Trust, reach};
use super::{Setting, secret};
use crate::config::Vmc;
use crate::source::{self, Missing, Source};

/// The checks in their order; those that begin with `vmc` are about the address of the VMC service, if it is another.
const PLAN: &[&str] = &["secret", "dns", "tcp", "tls", "sddcs"];

/// Checks the organisation, then all of its SDDCs at the same time.
pub(super) async fn check(entry: &Vmc, setting: &Setting<'_>) -> Vec<SourceReport> {
    let mut course =
        Course::new(SourceKind::Vmc, &entry.name, &entry.csp_url, setting.limits.request_timeout);
    let targets = walk(entry, setting, &mut course).await.unwrap_or_default();
    let mut reports = vec![course.finish(PLAN)];
    reports.extend(join_all(targets.into_iter().map(|target| vcenter::check(target, setting))).await);
    reports
}

async fn walk(entry: &Vmc, setting: &Setting<'_>, course: &mut Course) -> Result<Vec<Target>, Blocked> {
    let secret = course.try_it("secret", secret::read(setting.secrets, source::secret_of(entry))).await;
    let section = format!("[[vmc]] {:?}", entry.name);
    let connect = setting.limits.connect_timeout;
    let trust = Trust { ca_file: entry.ca_file.as_ref(), thumbprints: &entry.thumbprints };
    let loaded = reach(course, "", &entry.csp_url, trust, &section, connect).await?;
    if place(&entry.vmc_url) != place(&entry.csp_url) {
        reach(course, " (vmc_url)", &entry.vmc_url, trust, &section, connect).await?;
    }
    let secret = secret.ok_or(Blocked)?;
    let client = match source::organisation(entry, secret, &loaded, setting.limits) {
        Ok(client) => client,
        Err(error) => {
            let fix = format!("correct the trust settings in {section}");
            course.try_it("sddcs", async { Finding::<()>::fail(error, fix) }).await;
            return Err(Blocked);
        }
    };
    let sddcs = course.need("sddcs", list(&client, entry)).await?;
    let mut targets = Vec::new();
    for sddc in sddcs {
        match target(entry, &sddc) {
            Ok(target) => targets.push(target),
            Err((detail, fix)) => {
                let check = format!("sddc {}", sddc.name);
                course.try_it(&check, async { Finding::<()>::fail(detail, fix) }).await;
            }
        }
    }
    Ok(targets)
}

/// Host and port.
fn place(url: &Url) -> (Option<&str>, Option<u16>) {
    (url.host_str(), url.port_or_known_default())
}

/// Gets a token and lists the SDDCs. Gives those that the configuration selects.
async fn list(client: &VmcClient, entry: &Vmc) -> Finding<Vec<Sddc>> {
    let all = match client.sddcs().await {
        Ok(all) => all,
        Err(error) => {
            let fix = "is the token or the app's secret still valid (Cloud Services Console > My Account > API Tokens, or Organization > OAuth Apps), and has it a role of the VMware Cloud on AWS service that may see SDDCs? Is org_id the long id of the organisation?";
            return Finding::fail(vsphere_client::error::chain(&error), fix);
        }
    };
    let count = all.len();
    let (chosen, others): (Vec<Sddc>, Vec<Sddc>) =
        all.into_iter().partition(|sddc| entry.sddcs.selects(&sddc.name));
    let mut detail = format!("organisation {}: {count} SDDCs", entry.org_id);
    if !chosen.is_empty() {
        let names: Vec<String> =
            chosen.iter().map(|sddc| format!("{} ({})", sddc.name, sddc.state)).collect();
        detail = format!("{detail}, of which to be followed: {}", names.join(", "));
    }
    if chosen.is_empty() && !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|sddc| sddc.name.as_str()).collect();
        let fix = format!("`sddcs` in [[vmc]] {:?} selects none of: {}", entry.name, names.join(", "));
        return Finding::warn(chosen, detail, fix);
    }
    Finding::pass(chosen, detail)
}

/// The vCenter of an SDDC, or what is missing and what to do about it.
fn target(entry: &Vmc, sddc: &Sddc) -> Result<Target, (String, String)> {
    let source = Source::of_sddc(entry, sddc).map_err(|missing| match missing {
        Missing::Address => (
            format!("its vCenter has no address yet (state {})", sddc.state),
            "wait until it is deployed, or exclude it with `sddcs`".to_owned(),
        ),
        Missing::Account => (
            "VMC does not tell an account for its vCenter (the role of the token may not read it)".to_owned(),
            "set `username` and `password` in [vmc.vcenter]".to_owned(),
        ),
    })?;
    Ok(Target {
        kind: SourceKind::Sddc,
        section: format!("[vmc.vcenter] of [[vmc]] {:?}", entry.name),
        source,
    })
}
