//! The n-th operation of the storage failing, for every n of a workload: once, or from then on.

use sk_tracedb::ingest::{Recovery, Writer};
use sk_tracedb::{Store, StoreError};

use crate::batches::{Step, Told, batches, begin, steps, told, verify_whole};
use crate::faulty::{Fail, Faulty};

const BATCHES: usize = 8;
/// After one in so many operations the file is verified as a whole; after each of them it is opened and exported from.
const VERIFIED_EVERY: u64 = 1;
const BODY_BYTES: usize = 2_000;

fn must_be_the_storage(error: &StoreError) {
    assert!(error.storage_failure().is_some(), "{error:?}");
}

/// What is told before, and after each step.
fn expected(steps: &[Step]) -> Vec<Told> {
    let storage = Faulty::new_store();
    let mut writer = Writer::new(storage.open().unwrap()).unwrap();
    let mut expected = vec![told(&writer.reader())];
    for step in steps {
        step.run(&mut writer).unwrap();
        expected.push(told(&writer.reader()));
    }
    expected
}

fn open(storage: &Faulty) -> Result<Writer, StoreError> {
    Writer::new(storage.open()?)
}

#[test]
fn an_operation_that_fails_once_is_recovered_from_without_a_restart() {
    let steps = steps(BATCHES, 3, BODY_BYTES);
    let expected = expected(&steps);
    let image = Faulty::new_store().image();
    let (mut at_commit, mut n) = (0, 0);
    loop {
        let storage = Faulty::of(&image);
        storage.fail(Fail::Once(n));
        let mut writer = open(&storage).unwrap_or_else(|error| {
            must_be_the_storage(&error);
            open(&storage).unwrap()
        });
        let reader = writer.reader();
        let seen_by = |reader| storage.spare(|| told(reader));
        for (number, step) in steps.iter().enumerate() {
            let Err(error) = step.run(&mut writer) else {
                continue;
            };
            must_be_the_storage(&error);
            // Until the writer has recovered it writes nothing, and readers see what was acknowledged.
            let refused = step.run(&mut writer).unwrap_err();
            assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
            let seen = seen_by(&reader);
            // What a piece of retention was to drop cannot be exported until it is known what became of it.
            let is_claimed = matches!(step, Step::Retain(_));
            let shows = |told: &Told| seen.info == told.info && (is_claimed || seen == *told);
            let published = step.is_told() && shows(&expected[number + 1]);
            assert!(
                published || shows(&expected[number]),
                "operation {n}, step {number}: {seen:?}"
            );
            let recovery = writer.recover().unwrap();
            // What readers have seen is not taken back.
            assert!(!published || matches!(recovery, Recovery::Committed(_)));
            match recovery {
                Recovery::Committed(_) => at_commit += 1,
                Recovery::RolledBack => step.run(&mut writer).unwrap(),
            }
            assert_eq!(seen_by(&reader), expected[number + 1], "operation {n}");
        }
        assert_eq!(seen_by(&reader), expected[steps.len()], "operation {n}");
        let operations = storage.operations();
        storage.fail(Fail::Never);
        drop(reader);
        writer.into_store().close().unwrap();
        if n.is_multiple_of(VERIFIED_EVERY) {
            verify_whole(storage.path(), &format!("operation {n}"));
        }
        if operations <= n {
            break;
        }
        n += 1;
    }
    println!("{n} operations; {at_commit} of them failed behind their commit");
    assert!(n > 100, "{n} operations");
    assert!(at_commit > 0, "no failure came behind a commit");
}

#[test]
fn a_disk_that_fails_for_good_at_any_operation_loses_nothing_acknowledged() {
    let steps = steps(BATCHES, 3, BODY_BYTES);
    let expected = expected(&steps);
    let image = Faulty::new_store().image();
    let mut n = 0;
    loop {
        let storage = Faulty::of(&image);
        storage.fail(Fail::From(n));
        let mut acknowledged = 0;
        let failed = match open(&storage) {
            Err(error) => {
                must_be_the_storage(&error);
                true
            }
            Ok(mut writer) => {
                let failed = steps.iter().any(|step| {
                    let result = step.run(&mut writer);
                    acknowledged += usize::from(result.is_ok());
                    result.inspect_err(must_be_the_storage).is_err()
                });
                if failed {
                    must_be_the_storage(&writer.recover().unwrap_err());
                }
                failed
            }
        };
        storage.fail(Fail::Never);
        if n.is_multiple_of(VERIFIED_EVERY) {
            verify_whole(storage.path(), &format!("operation {n}"));
        }
        let store: Store = storage.open().unwrap();
        let found = told(&store.reader());
        let possible =
            &expected[acknowledged..=(acknowledged + usize::from(failed)).min(steps.len())];
        assert!(
            possible.contains(&found),
            "operation {n}, after {acknowledged} commits: {found:?}"
        );
        if !failed {
            break;
        }
        n += 1;
    }
    println!("{n} operations");
    assert!(n > 100, "{n} operations");
}

/// Readers live as long as the recorder: one failed read must not end them.
#[test]
fn a_reader_whose_read_failed_reads_again() {
    let storage = Faulty::new_store();
    let mut writer = open(&storage).unwrap();
    begin(&mut writer).unwrap();
    let batches = batches(3, 4, 100);
    let reader = writer.reader();
    for batch in batches {
        writer.append(batch).unwrap();
        let expected = told(&reader);
        let mut n = 0;
        loop {
            storage.fail(Fail::Once(n));
            let read = reader.snapshot().and_then(|snapshot| snapshot.info());
            let operations = storage.operations();
            storage.fail(Fail::Never);
            if let Err(error) = read {
                must_be_the_storage(&error);
            }
            assert_eq!(told(&reader), expected);
            if operations <= n {
                break;
            }
            n += 1;
        }
        assert!(n > 0, "no read was made to fail");
    }
}
