//! A place whose body is known as it is.

use super::{Tools, other_length};
use crate::model::EventKey;
use crate::store::StoreError;
use crate::store::body::delta;
use crate::store::versions::Group;
use crate::store::versions::group::Place;

/// See the [module](self).
pub(super) struct ByBody {
    /// Key of the group.
    first: EventKey,
    /// In what is kept of the group: the versions that were not read when it was made.
    place: Place,
    body: Vec<u8>,
}

impl ByBody {
    /// What is to be kept of the group is in `tools.packed` then.
    pub(super) fn new(group: &Group<'_>, place: &Place, body: &[u8], tools: &mut Tools) -> Self {
        let rest = group.payload.get(place.at()..).unwrap_or_default();
        tools.packed.clear();
        tools.packed.extend_from_slice(rest);
        Self {
            first: group.first,
            place: place.moved(0),
            body: body.to_vec(),
        }
    }

    pub(super) fn body_bytes(&self) -> usize {
        self.body.capacity()
    }

    /// Where in what is kept of the group lies what has not been read yet.
    pub(super) fn at(&self) -> usize {
        self.place.at()
    }

    /// See [`super::Cursor::read`].
    pub(super) fn read(
        &mut self,
        object: u64,
        kept: &[u8],
        event: EventKey,
        out: &mut [u8],
        tools: &mut Tools,
    ) -> Result<bool, StoreError> {
        let group = Group {
            object,
            first: self.first,
            payload: kept,
        };
        if let Some(last) = self.place.before
            && last.event >= event
        {
            if last.event > event || last.deleted {
                return Ok(false);
            }
            if out.len() != self.body.len() {
                return Err(other_length(&group));
            }
            out.copy_from_slice(&self.body);
            return Ok(true);
        }
        let misfit = || group.damaged("a difference does not fit the version before");
        let mut entries = group.entries_from(&self.place);
        while let Some(entry) = entries.next() {
            let (version, difference) = entry?;
            if version.event > event {
                break;
            }
            let is_it = version.event == event;
            if is_it && !version.deleted {
                if out.len() != version.body_len as usize {
                    return Err(other_length(&group));
                }
                delta::make(&self.body, difference, out).ok_or_else(misfit)?;
                if self.body.capacity() < out.len() {
                    // No longer than it is: it would be twice as long if it grew by itself.
                    self.body = out.to_vec();
                } else {
                    self.body.clear();
                    self.body.extend_from_slice(out);
                }
                self.place = entries.place();
                return Ok(true);
            }
            if !version.deleted {
                let between = &mut tools.body;
                between.clear();
                between.resize(version.body_len as usize, 0);
                delta::make(&self.body, difference, between).ok_or_else(misfit)?;
                self.body = between.clone();
            }
            if is_it {
                break;
            }
        }
        Ok(false)
    }
}
