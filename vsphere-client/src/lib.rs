//! A client for VMware vCenter and VMware Cloud on AWS.
//!
//! It knows how vSphere speaks and behaves, and nothing of what its answers are for: no AWS, no policy.
//!
//! - [`vcenter::Vcenter`] is one vCenter over SOAP: sessions that repair themselves, privileges, events, views.
//! - [`watch`] turns a vCenter into a stream: everything in its inventory, then every change; and follows tasks to their ends.
//! - [`vcenter::snapshot`] takes snapshots of VMs, removes them and goes back to them; [`vcenter::guest`] works inside VMs.
//! - [`property`] and [`model`] are what is read: typed properties of managed objects; [`properties!`] declares more sets.
//! - [`rest`] reads tags and categories in batches; [`vmc`] finds the vCenters of VMware Cloud on AWS.
//! - [`tls`] decides which servers are trusted: by authorities or by pinned certificates, never not at all.
//!
//! ```no_run
//! # async fn example(url: url::Url, password: secrecy::SecretString) -> Result<(), vsphere_client::error::Error> {
//! use vsphere_client::tls::TlsTrust;
//! use vsphere_client::vcenter::{ConnectOptions, Vcenter};
//! use vsphere_client::watch::{WatchEvent, WatchOptions};
//!
//! let options = ConnectOptions::new(url, "reader@vsphere.local".into(), password, TlsTrust::default());
//! let vcenter = Vcenter::new(options)?;
//! let mut watch = vcenter.watch(WatchOptions::default());
//! while let Some(event) = watch.next().await {
//!     if let WatchEvent::Objects(reports) = event {
//!         println!("{} objects changed", reports.len());
//!     }
//! }
//! vcenter.close().await?;
//! # Ok(())
//! # }
//! ```

pub mod error;
mod farewell;
pub mod http;
pub mod ids;
pub mod model;
pub mod property;
pub mod rest;
pub mod retry;
pub mod soap;
pub mod tls;
pub mod vcenter;
pub mod vmc;
pub mod watch;
pub mod xml;

mod single_flight;
