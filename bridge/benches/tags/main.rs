//! Tag sync over a large fleet, without the network: how long one plan takes, and what an idle hour costs.
//!
//! One JSON document on stdout. `scripts/bench tags` reads it, and measures the rest with the whole program.

mod idle;
mod plan;
mod world;

fn main() {
    // `cargo test` only wants to know that it works.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let figures = plan::figures(if measuring { 100 } else { 1 });
    let hour = if measuring { idle::hour() } else { "null".to_owned() };
    println!("{{\"plan\": [{}], \"hour\": {hour}}}", figures.join(",\n "));
}
