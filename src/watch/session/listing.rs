//! A list under way: what is in it, and when it proves anything (R7).

use std::time::Duration;

use super::super::decode::Unreadable;
use super::{Phase, Session, Sight, other};
use crate::limits::LIST_PAGE_ITEMS;
use crate::model::{Item, Observation};

impl Session {
    pub(super) fn on_listed(&mut self, out: &mut Vec<Observation>, item: Result<Item, Unreadable>) {
        self.start_list(out);
        let Phase::List(list) = &mut self.phase else {
            return;
        };
        let watch = self.watch.clone();
        match item {
            Ok(item) => out.push(Observation::Applied {
                watch,
                item,
                resource_version: None,
            }),
            Err(Unreadable { uid: Some(uid), .. }) => out.push(Observation::Listed { watch, uid }),
            Err(Unreadable { reason, .. }) => {
                list.unidentified.get_or_insert(reason);
            }
        }
    }

    pub(super) fn on_page(
        &mut self,
        out: &mut Vec<Observation>,
        token: Option<String>,
        version: String,
    ) {
        self.start_list(out);
        self.trouble = None;
        let Phase::List(list) = &mut self.phase else {
            return;
        };
        // All pages show the version of the first; where a server thinks otherwise, the first is the safe one.
        let version = list.version.get_or_insert(version).clone();
        if token.is_some() {
            if token == list.token {
                let reason = "the list does not go on: a page led to itself".to_owned();
                self.fail(out, other(reason));
                return;
            }
            list.token = token;
            list.tries = 0;
        } else if let Some(reason) = list.unidentified.take() {
            let reason = format!("the list holds an object that cannot be identified: {reason}");
            self.relist(out, reason, Some(Duration::ZERO));
        } else {
            self.version = Some(version.clone());
            self.goal = None;
            self.sight = Sight::Sighted;
            self.limit = LIST_PAGE_ITEMS;
            self.phase = Phase::Open;
            out.push(Observation::ListFinished {
                watch: self.watch.clone(),
                resource_version: version,
            });
        }
    }

    fn start_list(&mut self, out: &mut Vec<Observation>) {
        if let Phase::List(list) = &mut self.phase
            && !list.started
        {
            list.started = true;
            out.push(Observation::ListStarted {
                watch: self.watch.clone(),
            });
        }
    }
}
