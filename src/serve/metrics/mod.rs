//! `/metrics`, for Prometheus. Names begin with `sk_tracedb_` and say their unit.
//!
//! Every scrape reads the counters where they live (the writer, the watches, the exports, the store) into a registry of
//! its own: there is no second copy of a number that could be forgotten.

mod answers;
mod record;
mod recording;
mod watches;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Metric, Registry, Unit};

use super::refusal::Refusal;
use super::routes::App;

const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    // Reads the store.
    let text = tokio::task::spawn_blocking(move || scrape(&app)).await;
    match text {
        Ok(Ok(text)) => {
            let mut response = text.into_response();
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
            Ok(response)
        }
        Ok(Err(error)) => Err(Refusal::internal(error.to_string())),
        Err(_) => Err(Refusal::internal("the scrape stopped; this is a bug")),
    }
}

fn scrape(app: &App) -> Result<String, std::fmt::Error> {
    let mut scrape = Scrape(Registry::default());
    scrape.program();
    scrape.writer(app.recorder.writer());
    scrape.retention(&app.recorder.writer().retention);
    scrape.recorder(&*app.recorder);
    scrape.copy_grace(app.recorder.copy_grace());
    scrape.watches(&app.recorder.watches());
    scrape.exports(app.slots.counts());
    scrape.backups(&app.backups);
    scrape.store(&app.reader);
    let mut text = String::new();
    encode(&mut text, &scrape.0)?;
    Ok(text)
}

type Labels = Vec<(&'static str, String)>;

struct Scrape(Registry);

impl Scrape {
    fn add(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.0.register(format!("sk_tracedb_{name}"), help, metric);
    }

    fn add_in(&mut self, unit: Unit, name: &str, help: &str, metric: impl Metric) {
        self.0
            .register_with_unit(format!("sk_tracedb_{name}"), help, unit, metric);
    }

    fn program(&mut self) {
        let build = Family::<Labels, Gauge>::default();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        build.get_or_create(&vec![("version", version)]).set(1);
        self.add("build_info", "The release that runs", build);
        if let Some(bytes) = resident_bytes() {
            let help = "Memory that the process has in RAM";
            self.add_in(
                Unit::Bytes,
                "process_resident_memory",
                help,
                ConstGauge::new(bytes),
            );
        }
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn counter(value: &AtomicU64) -> ConstCounter {
    ConstCounter::new(load(value))
}

/// `VmRSS` of this process; `None` where the system does not tell.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}
