//! The watches: the state of each kind, and what its requests came to.

use std::collections::BTreeMap;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::{Labels, Scrape};
use crate::model::WatchId;
use crate::watch::{WatchCounters, WatchReport};

impl Scrape {
    pub(super) fn watches(&mut self, watches: &BTreeMap<WatchId, WatchReport>) {
        let states = Family::<Labels, Gauge>::default();
        for (watch, report) in watches {
            let labels = vec![
                ("kind", watch.to_string()),
                ("state", report.state.name().to_owned()),
            ];
            states.get_or_create(&labels).set(1);
        }
        self.add(
            "watch_state",
            "1 for the state that the watch of a kind is in",
            states,
        );
        type Count = fn(&WatchCounters) -> u64;
        let counts: [(&str, &str, Count); 11] = [
            ("lists", "Lists begun", |c| c.lists),
            ("lists_finished", "Lists finished", |c| c.lists_finished),
            ("list_pages", "Pages of lists read", |c| c.pages),
            ("list_items", "Items of lists read", |c| c.items),
            ("watches", "Watches opened", |c| c.watches),
            ("watch_events", "Changes delivered by watches", |c| c.events),
            ("watch_bookmarks", "Bookmarks delivered by watches", |c| {
                c.bookmarks
            }),
            (
                "watch_expired",
                "Times that the server no longer had what comes next (410)",
                |c| c.expired,
            ),
            (
                "watch_failures",
                "Requests that failed, watches that fell silent",
                |c| c.failures,
            ),
            (
                "watch_unreadable",
                "Items and events that could not be read, every try counted",
                |c| c.unreadable,
            ),
            (
                "watch_skipped_events",
                "Events given up: what they told is not in the record",
                |c| c.skipped_events,
            ),
        ];
        for (name, help, count) in counts {
            let family = Family::<Labels, Counter>::default();
            for (watch, report) in watches {
                family
                    .get_or_create(&vec![("kind", watch.to_string())])
                    .inc_by(count(&report.counters));
            }
            self.add(name, help, family);
        }
    }
}
