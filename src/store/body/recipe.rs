//! A body told as pieces of another one, its *root*, and literal bytes between them.
//!
//! The versions of a group are each the difference to the one before. Made one after the other, reaching the twentieth
//! copies twenty bodies. A recipe takes the differences in first, which touches only what they changed, and copies one
//! body in the end.

use super::delta::{self, Piece};

/// How a body is made from its root. The empty recipe makes the empty body.
#[derive(Debug, Default)]
pub(crate) struct Recipe {
    /// Not one of them is empty.
    steps: Vec<Step>,
    /// The literal bytes of all steps.
    literals: Vec<u8>,
    /// Length of the body, bytes.
    len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// Of the root, or of the literals.
    literal: bool,
    from: u32,
    len: u32,
}

impl Recipe {
    /// The body is the root, which has `len` bytes.
    pub(crate) fn whole(&mut self, len: usize) {
        self.clear();
        self.copy(0, len);
    }

    /// Length of the body, bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Becomes what [`Recipe::write`] wrote, for a body of `len` bytes and a root of `root_len`. `None`: it was not that.
    pub(crate) fn read(&mut self, root_len: usize, bytes: &[u8], len: usize) -> Option<()> {
        self.clear();
        delta::pieces(root_len, bytes, len, |piece| {
            match piece {
                Piece::Literal(bytes) => self.literal(bytes),
                Piece::Copy { from, len } => self.copy(from, len),
            }
            Some(())
        })
    }

    /// Appends it to `out` as one difference between the root and the body.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut writer = delta::Writer::new(out);
        for step in &self.steps {
            let from = step.from as usize;
            if step.literal {
                let literal = self.literals.get(from..from + step.len as usize);
                writer.literal(literal.unwrap_or_default());
            } else {
                writer.copy(from, step.len as usize);
            }
        }
        writer.finish();
    }

    /// The recipe of the body that is so different from this one, in place of what `out` was. `None`: the bytes are no
    /// difference to it.
    pub(crate) fn then(&self, difference: &[u8], len: usize, out: &mut Self) -> Option<()> {
        out.clear();
        let mut at = Place::default();
        delta::pieces(self.len, difference, len, |piece| {
            match piece {
                Piece::Literal(bytes) => out.literal(bytes),
                Piece::Copy { from, len } => self.copy_into(&mut at, from, len, out)?,
            }
            Some(())
        })
    }

    /// How long the root is at least, bytes.
    pub(crate) fn root_needed(&self) -> u32 {
        let copied = self.steps.iter().filter(|step| !step.literal);
        let ends = copied.map(|step| step.from.saturating_add(step.len));
        ends.max().unwrap_or(0)
    }

    /// Makes the body. `None`: this is not the root, or `out` has another length than the body.
    pub(crate) fn make(&self, root: &[u8], out: &mut [u8]) -> Option<()> {
        let mut rest = out;
        for step in &self.steps {
            let source = if step.literal { &self.literals } else { root };
            let from = step.from as usize;
            let bytes = source.get(from..from + step.len as usize)?;
            let (to, behind) = rest.split_at_mut_checked(bytes.len())?;
            to.copy_from_slice(bytes);
            rest = behind;
        }
        rest.is_empty().then_some(())
    }

    fn clear(&mut self) {
        self.steps.clear();
        self.literals.clear();
        self.len = 0;
    }

    /// Appends a stretch of this recipe's body to another recipe. `at`: where the stretch before ended.
    fn copy_into(&self, at: &mut Place, from: usize, len: usize, out: &mut Self) -> Option<()> {
        if from < at.begin {
            *at = Place::default();
        }
        let (mut from, to) = (from, from + len);
        while from < to {
            let step = self.steps.get(at.step)?;
            let end = at.begin + step.len as usize;
            if from >= end {
                at.begin = end;
                at.step += 1;
                continue;
            }
            let source = step.from as usize + (from - at.begin);
            let taken = end.min(to) - from;
            if step.literal {
                out.literal(self.literals.get(source..source + taken)?);
            } else {
                out.copy(source, taken);
            }
            from += taken;
        }
        Some(())
    }

    fn literal(&mut self, bytes: &[u8]) {
        let from = self.literals.len();
        self.literals.extend_from_slice(bytes);
        self.push(true, from, bytes.len());
    }

    fn copy(&mut self, from: usize, len: usize) {
        self.push(false, from, len);
    }

    /// Appends a step, or makes the last one longer. Bodies are far shorter than what a `u32` counts
    /// ([`crate::limits::OBJECT_BYTES_MAX`]).
    fn push(&mut self, literal: bool, from: usize, len: usize) {
        let (from, short) = (from as u32, len as u32);
        self.len += len;
        match self.steps.last_mut() {
            Some(last) if last.literal == literal && last.from + last.len == from => {
                last.len += short;
            }
            _ if len > 0 => self.steps.push(Step {
                literal,
                from,
                len: short,
            }),
            _ => {}
        }
    }
}

/// A step, and where in the body it begins.
#[derive(Clone, Copy, Default)]
struct Place {
    step: usize,
    begin: usize,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edited(base: &[u8], edits: &[(usize, usize, Vec<u8>)]) -> Vec<u8> {
        let mut target = base.to_vec();
        for (at, cut, insert) in edits {
            let at = (*at).min(target.len());
            let to = (at + cut).min(target.len());
            target.splice(at..to, insert.iter().copied());
        }
        target
    }

    type Edits = Vec<(usize, usize, Vec<u8>)>;

    fn versions() -> impl Strategy<Value = Vec<Edits>> {
        let edit = (
            0usize..400,
            0usize..40,
            proptest::collection::vec(any::<u8>(), 0..30),
        );
        proptest::collection::vec(proptest::collection::vec(edit, 0..5), 0..20)
    }

    proptest! {
        /// Every version comes out as decoding one difference after the other makes it.
        #[test]
        fn a_chain_of_differences_makes_the_same_bodies(
            root in proptest::collection::vec(0u8..4, 0..400),
            versions in versions(),
        ) {
            let (mut recipe, mut spare) = (Recipe::default(), Recipe::default());
            recipe.whole(root.len());
            let mut body = root.clone();
            for edits in versions {
                let next = edited(&body, &edits);
                let mut difference = Vec::new();
                delta::encode(&body, &next, &mut difference);
                recipe.then(&difference, next.len(), &mut spare).unwrap();
                std::mem::swap(&mut recipe, &mut spare);
                prop_assert_eq!(recipe.len(), next.len());
                let mut made = vec![0xee; next.len()];
                recipe.make(&root, &mut made).unwrap();
                prop_assert_eq!(&made, &next);
                let mut written = Vec::new();
                recipe.write(&mut written);
                let mut decoded = Vec::new();
                delta::decode(&root, &written, next.len(), &mut decoded).unwrap();
                prop_assert_eq!(&decoded, &next);
                spare.read(root.len(), &written, next.len()).unwrap();
                prop_assert_eq!(&spare.steps, &recipe.steps);
                prop_assert_eq!(&spare.literals, &recipe.literals);
                let mut longer = vec![0; next.len() + 1];
                prop_assert_eq!(recipe.make(&root, &mut longer), None);
                body = next;
            }
        }

        /// What is refused, and what is made of any bytes, is the same as decoding says.
        #[test]
        fn any_bytes_are_taken_as_decoding_takes_them(
            root in proptest::collection::vec(any::<u8>(), 0..50),
            first in proptest::collection::vec(any::<u8>(), 0..50),
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            len in 0usize..200,
        ) {
            let mut difference = Vec::new();
            delta::encode(&root, &first, &mut difference);
            let (mut whole, mut recipe, mut then) = (Recipe::default(), Recipe::default(), Recipe::default());
            whole.whole(root.len());
            whole.then(&difference, first.len(), &mut recipe).unwrap();
            let mut decoded = Vec::new();
            let is_difference = delta::decode(&first, &bytes, len, &mut decoded);
            prop_assert_eq!(recipe.then(&bytes, len, &mut then), is_difference);
            if is_difference.is_some() {
                let mut made = vec![0; len];
                then.make(&root, &mut made).unwrap();
                prop_assert_eq!(made, decoded);
            }
        }

        /// A recipe that was made for another root gives an error or as many bytes; it never panics.
        #[test]
        fn another_root_is_refused_or_read(root_len in 0usize..100, other in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut recipe = Recipe::default();
            recipe.whole(root_len);
            let mut made = vec![0; root_len];
            prop_assert_eq!(recipe.make(&other, &mut made).is_some(), other.len() >= root_len);
        }
    }
}
