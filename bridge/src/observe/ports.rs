//! Asks TCP ports of VMs whether they answer, after their windows, where the policy wants to know.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Records};
use crate::plan::PortWanted;

/// Pause between two questions to the same port.
const AGAIN: Duration = Duration::from_secs(15);
/// A port that has not answered by then does not answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Ports asked at the same time.
const AT_ONCE: usize = 16;

/// Asks until stopped.
pub(crate) async fn watch<S: Records>(engine: Engine<S>, stop: CancellationToken) {
    let mut wanted = engine.wanted_ports();
    loop {
        let now: Vec<PortWanted> = wanted.borrow_and_update().clone();
        let asked = stream::iter(now).for_each_concurrent(AT_ONCE, |port| async {
            let answers = answers(port.address, port.port).await;
            engine.saw_port(port, answers);
        });
        tokio::select! {
            () = asked => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn answers(address: IpAddr, port: u16) -> bool {
    matches!(timeout(PATIENCE, TcpStream::connect((address, port))).await, Ok(Ok(_)))
}
