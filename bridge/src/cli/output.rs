//! Standard output: the data, and the moment when nobody reads it any more.

use std::io::{self, BufWriter, Write};

use rustix::event::{PollFd, PollFlags, poll};
use tokio::io::AsyncWriteExt as _;

/// Writes data to standard output through one buffer.
pub(super) fn write(fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    fill(&mut out)?;
    out.flush()
}

/// Writes one line and flushes it. Does not hold up anything else while the reader is slow.
pub(super) async fn write_line(out: &mut tokio::io::Stdout, mut line: Vec<u8>) -> io::Result<()> {
    line.push(b'\n');
    out.write_all(&line).await?;
    out.flush().await
}

/// Returns when the reader of standard output has gone; never if that cannot be known (a file).
pub(super) async fn reader_gone() {
    let (gone, told) = tokio::sync::oneshot::channel();
    // A thread of its own, which ends with the process: the wait cannot be called off.
    std::thread::spawn(move || {
        let stdout = io::stdout();
        // Errors and hang-ups are told even when nothing is asked for.
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        while let Err(rustix::io::Errno::INTR) = poll(&mut fds, None) {}
        if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            // Nobody listens when the command has ended by itself.
            let _ = gone.send(());
        }
    });
    if told.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Writes rows under their heads, in columns that are as wide as they have to be. The cells are fit for a terminal.
pub(super) fn table<const N: usize>(
    out: &mut dyn Write,
    head: [&str; N],
    rows: Vec<[String; N]>,
) -> io::Result<()> {
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([head[at].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in std::iter::once(head.map(str::to_owned)).chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
