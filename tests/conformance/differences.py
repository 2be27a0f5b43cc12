"""Where another SQS server is known to answer otherwise than Amazon documents: test → what it does
instead.

A test stands here with all its cases, or with the one case that differs.
"""

NEW_ID = "a duplicate is answered with a message id and a sequence number of its own"
RANDOM_SEQUENCE = "sequence numbers are random"
UNCHECKED_ALPHABET = "neither length nor characters are checked"
OLD_HANDLES_WORK = "a receipt handle never expires"
NO_ATTEMPTS = "ReceiveRequestAttemptId is ignored"
NO_MOVES = "StartMessageMoveTask does not exist"
OUT_OF_ORDER = "the later messages of an expired batch can come first"
UNCHECKED_ENTRIES = "this batch is not checked as that of a send is"
UNCHECKED_ATTRIBUTES = "queue attributes are not checked"
UNCHECKED_MESSAGES = "messages are not checked for this"

_REFUSED_ATTRIBUTE = "test_an_attribute_beyond_its_limits_is_refused"

# Whether these fail depends on how soon the next call comes: on a slow machine they pass.
NOT_RUN = {
    "test_a_long_poll_ends_as_soon_as_a_group_is_free_again",  # and moto is busy to its end
    "test_a_repeated_attempt_hides_anew",
}

OF_MOTO: dict[str, str] = {
    # Deduplication
    "test_a_duplicate_is_answered_with_the_first_ones_message_id": NEW_ID,
    "test_a_duplicate_is_answered_with_the_first_ones_sequence_number": NEW_ID,
    "test_the_same_content_is_delivered_once_where_it_makes_the_id": NEW_ID,
    "test_a_duplicate_within_a_batch_succeeds_and_is_not_delivered": NEW_ID,
    "test_a_deleted_message_is_still_known": "a deduplication id is forgotten with its message",
    "test_an_id_holds_for_its_group_where_the_queue_says_so": "DeduplicationScope is ignored",
    "test_throughput_by_group_needs_deduplication_by_group": UNCHECKED_ATTRIBUTES,
    "test_any_other_id_is_refused": UNCHECKED_ALPHABET,
    # Groups
    "test_any_other_group_is_refused": UNCHECKED_ALPHABET,
    "test_one_receive_brings_as_many_of_one_group_as_it_can": "groups are brought as they came",
    "test_a_batch_that_expired_comes_again_in_order": OUT_OF_ORDER,
    "test_a_batch_that_expired_comes_again_in_order_one_by_one": OUT_OF_ORDER,
    # Visibility
    "test_a_change_is_at_most_twelve_hours[-1]": "less than nothing is taken",
    "test_a_message_that_is_not_in_flight_cannot_be_hidden": OLD_HANDLES_WORK,
    "test_an_expired_handle_cannot_delete": OLD_HANDLES_WORK,
    "test_an_expired_handle_cannot_hide": OLD_HANDLES_WORK,
    "test_a_handle_cannot_delete_after_the_message_was_put_back": OLD_HANDLES_WORK,
    "test_an_older_handle_cannot_delete": OLD_HANDLES_WORK,
    "test_an_older_handle_cannot_hide": OLD_HANDLES_WORK,
    # Receiving
    "test_a_receive_hides_for_at_most_twelve_hours[-1]": "less than nothing is taken",
    "test_a_long_poll_ends_as_soon_as_a_group_is_free_again": "a long poll sees only new sends",
    "test_sequence_numbers_rise_within_a_group": RANDOM_SEQUENCE,
    "test_the_same_attempt_gets_the_same_messages_under_the_same_handles": NO_ATTEMPTS,
    "test_the_handles_of_a_repeated_attempt_delete": NO_ATTEMPTS,
    "test_a_repeated_attempt_hides_anew": NO_ATTEMPTS,
    "test_an_attempt_has_at_most_128_letters_digits_and_punctuation": NO_ATTEMPTS,
    # Batches
    "test_a_bad_entry_does_not_fail_the_others": UNCHECKED_MESSAGES,
    "test_a_bad_entry_is_told_with_its_reason": UNCHECKED_MESSAGES,
    "test_each_entry_that_was_sent_has_a_rising_sequence_number": RANDOM_SEQUENCE,
    "test_an_older_handle_fails_alone_in_a_batch_of_deletes": OLD_HANDLES_WORK,
    "test_a_batch_without_entries_is_refused[change visibility]": UNCHECKED_ENTRIES,
    "test_a_batch_of_more_than_ten_is_refused[delete]": UNCHECKED_ENTRIES,
    "test_a_batch_of_more_than_ten_is_refused[change visibility]": UNCHECKED_ENTRIES,
    "test_a_batch_that_repeats_an_id_is_refused[change visibility]": UNCHECKED_ENTRIES,
    "test_a_batch_with_a_malformed_id_is_refused[dot-delete]": UNCHECKED_ENTRIES,
    "test_a_batch_with_a_malformed_id_is_refused[long-delete]": UNCHECKED_ENTRIES,
    "test_a_batch_with_a_malformed_id_is_refused[empty-delete]": UNCHECKED_ENTRIES,
    "test_a_batch_with_a_malformed_id_is_refused[dot-change visibility]": UNCHECKED_ENTRIES,
    "test_a_batch_with_a_malformed_id_is_refused[long-change visibility]": UNCHECKED_ENTRIES,
    "test_a_batch_with_a_malformed_id_is_refused[empty-change visibility]": UNCHECKED_ENTRIES,
    # Dead letters
    "test_the_deduplication_id_of_a_dead_letter_is_its_message_id": "it stays as it was",
    "test_the_dead_letter_queue_of_a_fifo_queue_is_one_too": "refused under another code",
    "test_a_policy_allows_one_to_a_thousand_receives": UNCHECKED_ATTRIBUTES,
    "test_a_malformed_policy_is_refused[not JSON]": "fails with a 500",
    "test_a_malformed_policy_is_refused[{}]": "removes the policy",
    "test_dead_letters_can_be_brought_back_in_order": NO_MOVES,
    "test_a_message_brought_back_is_a_new_one": NO_MOVES,
    "test_dead_letters_can_be_brought_elsewhere": NO_MOVES,
    "test_only_a_dead_letter_queue_can_be_brought_back": NO_MOVES,
    "test_a_queue_that_does_not_exist_cannot_be_brought_back": NO_MOVES,
    # Messages
    "test_other_characters_are_refused": UNCHECKED_MESSAGES,
    "test_an_empty_body_is_refused": UNCHECKED_MESSAGES,
    "test_bytes_are_counted_and_not_characters": UNCHECKED_MESSAGES,
    "test_attributes_count_as_part_of_the_size": UNCHECKED_MESSAGES,
    "test_ten_attributes_are_taken_and_eleven_refused": UNCHECKED_MESSAGES,
    "test_an_empty_attribute_is_refused": UNCHECKED_MESSAGES,
    # Queues
    "test_a_queue_named_as_one_is_a_fifo_queue": "makes a standard queue of that name",
    "test_an_unknown_attribute_is_refused": UNCHECKED_ATTRIBUTES,
    "test_a_value_beyond_its_limits_cannot_be_set": UNCHECKED_ATTRIBUTES,
    "test_the_kind_of_a_queue_cannot_be_changed": UNCHECKED_ATTRIBUTES,
    f"{_REFUSED_ATTRIBUTE}[VisibilityTimeout-43201]": UNCHECKED_ATTRIBUTES,
    f"{_REFUSED_ATTRIBUTE}[VisibilityTimeout--1]": UNCHECKED_ATTRIBUTES,
    f"{_REFUSED_ATTRIBUTE}[DelaySeconds-901]": UNCHECKED_ATTRIBUTES,
    f"{_REFUSED_ATTRIBUTE}[ReceiveMessageWaitTimeSeconds-21]": UNCHECKED_ATTRIBUTES,
    f"{_REFUSED_ATTRIBUTE}[MessageRetentionPeriod-59]": UNCHECKED_ATTRIBUTES,
    f"{_REFUSED_ATTRIBUTE}[MessageRetentionPeriod-1209601]": UNCHECKED_ATTRIBUTES,
    f"{_REFUSED_ATTRIBUTE}[ContentBasedDeduplication-perhaps]": UNCHECKED_ATTRIBUTES,
    f"{_REFUSED_ATTRIBUTE}[DeduplicationScope-account]": UNCHECKED_ATTRIBUTES,
    f"{_REFUSED_ATTRIBUTE}[FifoThroughputLimit-perMessage]": UNCHECKED_ATTRIBUTES,
}

# fauxqs, npm, as it is in its version 1.9.2, the newest that runs on Node.js 20.
FAUXQS_VERSION = "1.9.2"

ANOTHER_CODE = "it is refused under another code"
ONE_OF_A_GROUP = "a receive brings one message of a group at most"
NO_SUCH_ACTION = "the action does not exist"
UNCHECKED = "this is not checked"
UNCHECKED_HANDLES = "receipt handles are not checked"

OF_FAUXQS: dict[str, str] = {
    # Deduplication
    "test_a_send_needs_an_id_where_content_does_not_make_one": ANOTHER_CODE,
    "test_another_content_is_another_message": ONE_OF_A_GROUP,
    "test_a_given_id_overrides_that_of_the_content": ONE_OF_A_GROUP,
    "test_an_id_holds_for_its_group_where_the_queue_says_so": "DeduplicationScope is ignored",
    "test_throughput_by_group_needs_deduplication_by_group": UNCHECKED,
    "test_an_id_may_have_all_letters_digits_and_punctuation": ONE_OF_A_GROUP,
    "test_any_other_id_is_refused": UNCHECKED,
    # Groups
    "test_a_send_needs_a_group": ANOTHER_CODE,
    "test_an_empty_group_is_refused": ANOTHER_CODE,
    "test_any_other_group_is_refused": UNCHECKED,
    "test_a_batch_is_received_in_the_order_of_its_entries": ONE_OF_A_GROUP,
    "test_one_receive_may_bring_several_of_a_group_in_order": ONE_OF_A_GROUP,
    "test_one_receive_brings_as_many_of_one_group_as_it_can": ONE_OF_A_GROUP,
    "test_one_receive_may_bring_several_groups_each_in_order": ONE_OF_A_GROUP,
    "test_a_group_is_held_back_until_all_of_a_batch_are_deleted": ONE_OF_A_GROUP,
    "test_a_batch_may_be_deleted_in_any_order": ONE_OF_A_GROUP,
    "test_an_expired_message_comes_again_before_those_behind_it": ONE_OF_A_GROUP,
    "test_a_batch_that_expired_comes_again_in_order": ONE_OF_A_GROUP,
    "test_a_batch_that_is_put_back_comes_again_in_order": ONE_OF_A_GROUP,
    "test_a_message_that_is_put_back_waits_for_the_rest_of_its_batch": ONE_OF_A_GROUP,
    "test_what_is_left_of_a_batch_comes_before_the_rest_of_its_group": ONE_OF_A_GROUP,
    # Visibility
    "test_a_change_is_at_most_twelve_hours": ANOTHER_CODE,
    "test_twelve_hours_are_counted_from_the_receive": UNCHECKED,
    "test_an_expired_handle_cannot_hide": UNCHECKED_HANDLES,
    "test_an_expired_handle_cannot_delete": UNCHECKED_HANDLES,
    "test_a_handle_cannot_delete_after_the_message_was_put_back": UNCHECKED_HANDLES,
    "test_an_older_handle_cannot_delete": UNCHECKED_HANDLES,
    "test_an_invented_handle_cannot_delete": UNCHECKED_HANDLES,
    "test_an_invented_handle_cannot_hide": ANOTHER_CODE,
    "test_a_handle_of_another_queue_cannot_delete": UNCHECKED_HANDLES,
    # Receiving
    "test_up_to_ten_messages_come_at_once": ONE_OF_A_GROUP,
    "test_more_than_ten_or_none_cannot_be_asked_for": ANOTHER_CODE,
    "test_a_receive_hides_for_at_most_twelve_hours": ANOTHER_CODE,
    "test_a_receive_waits_at_most_twenty_seconds": ANOTHER_CODE,
    "test_the_same_attempt_gets_the_same_messages_under_the_same_handles": NO_ATTEMPTS,
    "test_the_handles_of_a_repeated_attempt_delete": NO_ATTEMPTS,
    "test_a_repeated_attempt_hides_anew": NO_ATTEMPTS,
    "test_an_attempt_has_at_most_128_letters_digits_and_punctuation": NO_ATTEMPTS,
    # Batches
    "test_the_message_ids_told_are_those_received": ONE_OF_A_GROUP,
    "test_a_bad_entry_does_not_fail_the_others": ONE_OF_A_GROUP,
    "test_an_entry_without_a_group_fails_the_whole_batch": UNCHECKED,
    "test_an_entry_without_an_id_fails_the_whole_batch": UNCHECKED,
    "test_messages_are_deleted_in_a_batch": ONE_OF_A_GROUP,
    "test_a_handle_that_cannot_delete_does_not_fail_the_others": UNCHECKED_HANDLES,
    "test_an_older_handle_fails_alone_in_a_batch_of_deletes": UNCHECKED_HANDLES,
    "test_messages_are_put_back_in_a_batch": ONE_OF_A_GROUP,
    "test_a_batch_with_a_malformed_id_is_refused[long-send]": UNCHECKED,
    "test_a_batch_with_a_malformed_id_is_refused[long-delete]": UNCHECKED,
    "test_a_batch_with_a_malformed_id_is_refused[long-change visibility]": UNCHECKED,
    # Dead letters
    "test_the_deduplication_id_of_a_dead_letter_is_its_message_id": "it stays as it was",
    "test_a_dead_letter_counts_its_receives_on": "the receive that puts it away counts as well",
    "test_the_group_goes_on_without_the_dead_letter": ONE_OF_A_GROUP,
    "test_dead_letters_of_a_group_stay_in_order": ONE_OF_A_GROUP,
    "test_the_dead_letter_queue_of_a_fifo_queue_is_one_too": UNCHECKED,
    "test_a_policy_allows_one_to_a_thousand_receives": UNCHECKED,
    "test_the_dead_letter_queue_has_to_exist": UNCHECKED,
    "test_a_malformed_policy_is_refused": UNCHECKED,
    "test_the_sources_of_a_dead_letter_queue_are_listed": NO_SUCH_ACTION,
    "test_dead_letters_can_be_brought_back_in_order": NO_SUCH_ACTION,
    "test_a_message_brought_back_is_a_new_one": NO_SUCH_ACTION,
    "test_dead_letters_can_be_brought_elsewhere": NO_SUCH_ACTION,
    "test_only_a_dead_letter_queue_can_be_brought_back": NO_SUCH_ACTION,
    "test_a_queue_that_does_not_exist_cannot_be_brought_back": NO_SUCH_ACTION,
    # Messages
    "test_a_body_arrives_as_it_was_sent[beyond 16 bits]": "it is refused",
    "test_other_characters_are_refused": ANOTHER_CODE,
    "test_an_empty_body_is_refused": ANOTHER_CODE,
    "test_a_larger_body_is_refused": ANOTHER_CODE,
    "test_bytes_are_counted_and_not_characters": ANOTHER_CODE,
    "test_a_queue_may_take_less": ANOTHER_CODE,
    "test_attributes_count_as_part_of_the_size": ANOTHER_CODE,
    "test_a_delay_of_one_message_is_refused": ANOTHER_CODE,
    "test_only_the_attributes_asked_for_arrive": "attributes arrive unasked",
    "test_ten_attributes_are_taken_and_eleven_refused": UNCHECKED,
    "test_an_empty_attribute_is_refused": UNCHECKED,
    # Queues
    "test_a_fifo_queue_is_named_as_one": ANOTHER_CODE,
    "test_a_queue_named_as_one_is_a_fifo_queue": UNCHECKED,
    "test_a_name_has_at_most_eighty_letters_digits_hyphens_and_underscores": UNCHECKED,
    "test_a_queue_cannot_be_created_again_with_others": ANOTHER_CODE,
    "test_an_unknown_attribute_is_refused": UNCHECKED,
    "test_a_value_beyond_its_limits_cannot_be_set": ANOTHER_CODE,
    "test_the_kind_of_a_queue_cannot_be_changed": ANOTHER_CODE,
    "test_a_delayed_message_is_delivered_after_its_delay": ONE_OF_A_GROUP,
    "test_a_second_purge_within_a_minute_is_refused": UNCHECKED,
    f"{_REFUSED_ATTRIBUTE}[VisibilityTimeout-43201]": ANOTHER_CODE,
    f"{_REFUSED_ATTRIBUTE}[VisibilityTimeout--1]": ANOTHER_CODE,
    f"{_REFUSED_ATTRIBUTE}[DelaySeconds-901]": ANOTHER_CODE,
    f"{_REFUSED_ATTRIBUTE}[ReceiveMessageWaitTimeSeconds-21]": ANOTHER_CODE,
    f"{_REFUSED_ATTRIBUTE}[MessageRetentionPeriod-59]": ANOTHER_CODE,
    f"{_REFUSED_ATTRIBUTE}[MessageRetentionPeriod-1209601]": ANOTHER_CODE,
    f"{_REFUSED_ATTRIBUTE}[MaximumMessageSize-1023]": ANOTHER_CODE,
    f"{_REFUSED_ATTRIBUTE}[MaximumMessageSize-1048577]": ANOTHER_CODE,
    f"{_REFUSED_ATTRIBUTE}[ContentBasedDeduplication-perhaps]": UNCHECKED,
    f"{_REFUSED_ATTRIBUTE}[DeduplicationScope-account]": UNCHECKED,
    f"{_REFUSED_ATTRIBUTE}[FifoThroughputLimit-perMessage]": UNCHECKED,
}

DIFFERENCES = {"moto": OF_MOTO, "fauxqs": OF_FAUXQS}
