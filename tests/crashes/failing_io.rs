//! The n-th operation of the storage failing, for every n of a workload: once, or from then on.

use sk_tracedb::ingest::{Recovery, Writer};
use sk_tracedb::{Store, StoreError};

use crate::batches::{Batch, Told, batches, begin, told};
use crate::faulty::{Fail, Faulty};

const BATCHES: usize = 5;
const BODY_BYTES: usize = 2_000;

/// A step of the workload: 0 is the beginning of the run, n the n-th batch.
fn step(writer: &mut Writer, batches: &[Batch], n: usize) -> Result<(), StoreError> {
    match n {
        0 => begin(writer),
        n => writer.append(batches[n - 1].clone()).map(drop),
    }
}

fn must_be_the_storage(error: &StoreError) {
    assert!(error.storage_failure().is_some(), "{error:?}");
}

/// What is told before, and after each step.
fn expected(batches: &[Batch]) -> Vec<Told> {
    let storage = Faulty::new_store();
    let mut writer = Writer::new(storage.open().unwrap()).unwrap();
    let mut expected = vec![told(&writer.reader())];
    for n in 0..=batches.len() {
        step(&mut writer, batches, n).unwrap();
        expected.push(told(&writer.reader()));
    }
    expected
}

fn open(storage: &Faulty) -> Result<Writer, StoreError> {
    Writer::new(storage.open()?)
}

#[test]
fn an_operation_that_fails_once_is_recovered_from_without_a_restart() {
    let batches = batches(BATCHES, 3, BODY_BYTES);
    let expected = expected(&batches);
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
        for step_number in 0..=batches.len() {
            let Err(error) = step(&mut writer, &batches, step_number) else {
                continue;
            };
            must_be_the_storage(&error);
            // Until the writer has recovered it writes nothing, and readers see what was acknowledged.
            let refused = step(&mut writer, &batches, step_number).unwrap_err();
            assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
            let seen = seen_by(&reader);
            let published = seen == expected[step_number + 1];
            assert!(
                published || seen == expected[step_number],
                "operation {n}: {seen:?}"
            );
            let recovery = writer.recover().unwrap();
            // What readers have seen is not taken back.
            assert!(!published || matches!(recovery, Recovery::Committed(_)));
            match recovery {
                Recovery::Committed(_) => at_commit += 1,
                Recovery::RolledBack => step(&mut writer, &batches, step_number).unwrap(),
            }
            assert_eq!(seen_by(&reader), expected[step_number + 1], "operation {n}");
        }
        assert_eq!(
            seen_by(&reader),
            expected[batches.len() + 1],
            "operation {n}"
        );
        if storage.operations() <= n {
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
    let batches = batches(BATCHES, 3, BODY_BYTES);
    let expected = expected(&batches);
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
                let failed = (0..=batches.len()).any(|step_number| {
                    let result = step(&mut writer, &batches, step_number);
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
        let store: Store = storage.open().unwrap();
        let found = told(&store.reader());
        let possible =
            &expected[acknowledged..=(acknowledged + usize::from(failed)).min(batches.len() + 1)];
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
