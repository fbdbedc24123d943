/* The meta commands: what every flag means where, and which of several faults
 * is the one that is answered. */
#include <stdio.h>

#include "unit/core/request_check.h"

#define OPAQUE_31      "Oxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define TEN_FLAGS      " c f h k l s t u v q"
#define EIGHTEEN_FLAGS TEN_FLAGS " N1 T1 R1 C1 E1 O1 P L"

static const struct {
    struct slice text;
    enum command command;
    const char *key;
    const char *letters; /* of meta[], in order */
    const char *value;
} good[] = {
    {TEXT("mg k\r\n"), COMMAND_MG, "k", "", ""},
    {TEXT("mg k\n"), COMMAND_MG, "k", "", ""},
    {TEXT("mg  k  v  f  \r\n"), COMMAND_MG, "k", "vf", ""},
    {TEXT("mg k v1 kx\r\n"), COMMAND_MG, "k", "vk", ""},
    {TEXT("mg k" EIGHTEEN_FLAGS "\r\n"), COMMAND_MG, "k", "cfhklstuvqNTRCEO",
     ""},
    {TEXT("mg k O\r\n"), COMMAND_MG, "k", "O", ""},
    {TEXT("mg k " OPAQUE_31 "\r\n"), COMMAND_MG, "k", "O", ""},
    {TEXT("mg k P Lxyz\r\n"), COMMAND_MG, "k", "", ""},
    {TEXT("mg k I x J1 D1 F1 M\r\n"), COMMAND_MG, "k", "", ""},
    {TEXT("mg YQ== b k\r\n"), COMMAND_MG, "a", "bk", ""},
    {TEXT("mg AAEC bx\r\n"), COMMAND_MG, NULL, "b", ""},
    {TEXT("ms k 0\r\n\r\n"), COMMAND_MS, "k", "", ""},
    {TEXT("ms k 2\n\r\n\r\n"), COMMAND_MS, "k", "", "\r\n"},
    {TEXT("ms k 1 c s T5 F6 I MS q\r\na\r\n"), COMMAND_MS, "k", "csTFIMq", "a"},
    {TEXT("ms k 1 v t f h l u R5 x\r\na\r\n"), COMMAND_MS, "k", "", "a"},
    {TEXT("ms YWI= 1 b\r\na\r\n"), COMMAND_MS, "ab", "b", "a"},
    {TEXT("md k q I T5 x F5 E5 C5\r\n"), COMMAND_MD, "k", "qITxFEC", ""},
    {TEXT("md k v N5 M\r\n"), COMMAND_MD, "k", "", ""},
    {TEXT("ma k N0 J5 D2 M- v t c q\r\n"), COMMAND_MA, "k", "NJDMvtcq", ""},
    {TEXT("me k\r\n"), COMMAND_ME, "k", "", ""},
    {TEXT("me k v v z 5\r\n"), COMMAND_ME, "k", "", ""},
    {TEXT("me k x b\r\n"), COMMAND_ME, "k", "", ""},
    {TEXT("me YWJj b\r\n"), COMMAND_ME, "abc", "b", ""},
    {TEXT("me YWJj bx\r\n"), COMMAND_ME, "YWJj", "", ""},
};

static void a_good_command_keeps_its_flags_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct request r;

        assert_int_equal(parse_checked(good[i].text, &r), PARSE_DONE);
        assert_int_equal(r.command, good[i].command);
        assert_slice(r.value, good[i].value);
        if (good[i].key != NULL) {
            assert_slice(r.key, good[i].key);
        }
        uint64_t set = 0;

        assert_int_equal(r.meta_count, strlen(good[i].letters));
        for (unsigned f = 0; f < r.meta_count; f++) {
            assert_int_equal(r.meta[f].letter, good[i].letters[f]);
            set |= META_BIT(good[i].letters[f]);
        }
        assert_int_equal(r.meta_set, set);
        assert_false(r.noreply);
    }
}

static void tokens_reach_their_fields(void **state)
{
    struct request r;

    (void)state;
    assert_int_equal(parse_checked((struct slice)TEXT("mg k C1 E2 N-3 T4 R5 "
                                                      "Oab\r\n"),
                                   &r),
                     PARSE_DONE);
    assert_int_equal(r.compare, 1);
    assert_int_equal(r.cas_new, 2);
    assert_int_equal(r.vivify_ttl, -3);
    assert_int_equal(r.ttl, 4);
    assert_int_equal(r.recache_ttl, 5);
    assert_slice(r.meta[5].token, "ab");
    assert_int_equal(r.mode, 0);

    assert_int_equal(parse_checked((struct slice)TEXT("ma k D6 J7\r\n"), &r),
                     PARSE_DONE);
    assert_int_equal(r.delta, 6);
    assert_int_equal(r.initial, 7);

    assert_int_equal(parse_checked((struct slice)TEXT("ma k\r\n"), &r),
                     PARSE_DONE);
    assert_int_equal(r.delta, 1);

    assert_int_equal(
        parse_checked((struct slice)TEXT("ms k 0 F4294967295\r\n\r\n"), &r),
        PARSE_DONE);
    assert_int_equal(r.flags, UINT32_MAX);
}

static void a_mode_is_the_first_byte_of_its_token(void **state)
{
    static const struct {
        struct slice text;
        char mode;
    } rows[] = {
        {TEXT("ms k 0 ME\r\n\r\n"), 'E'}, {TEXT("ms k 0 MA\r\n\r\n"), 'A'},
        {TEXT("ms k 0 MP\r\n\r\n"), 'P'}, {TEXT("ms k 0 MR\r\n\r\n"), 'R'},
        {TEXT("ms k 0 MS\r\n\r\n"), 'S'}, {TEXT("ms k 0 MSet\r\n\r\n"), 'S'},
        {TEXT("ms k 0\r\n\r\n"), '\0'},   {TEXT("ma k\r\n"), '\0'},
        {TEXT("ma k MI\r\n"), 'I'},       {TEXT("ma k M+\r\n"), 'I'},
        {TEXT("ma k MD\r\n"), 'D'},       {TEXT("ma k M-5\r\n"), 'D'},
        {TEXT("mg k Mx\r\n"), '\0'},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request r;

        assert_int_equal(parse_checked(rows[i].text, &r), PARSE_DONE);
        assert_int_equal(r.mode, rows[i].mode);
    }
}

static const struct refusal refused[] = {
    {TEXT("mg\r\n"), WIRE_BAD_FORMAT},
    {TEXT("mg \r\n"), WIRE_BAD_FORMAT},
    {TEXT("md\r\n"), WIRE_BAD_FORMAT},
    {TEXT("ma\r\n"), WIRE_BAD_FORMAT},
    {TEXT("me\r\n"), WIRE_BAD_FORMAT},
    {TEXT("mg a\tb v v\r\n"), WIRE_BAD_FORMAT},
    {TEXT("ma a\tb\r\n"), WIRE_BAD_ARITH_FLAG},
    {TEXT("me a\tb\r\n"), WIRE_BAD_FORMAT},
    /* A word that begins with no letter comes before all else. */
    {TEXT("mg k v v !\r\n"), WIRE_BAD_FORMAT},
    {TEXT("mg k {\r\n"), WIRE_BAD_FORMAT},
    {TEXT("mg k \xff\r\n"), WIRE_BAD_FORMAT},
    {TEXT("ma k v v @\r\n"), WIRE_BAD_FORMAT},
    {TEXT("me k v !\r\n"), WIRE_BAD_FORMAT},
    {TEXT("mg k" EIGHTEEN_FLAGS " x\r\n"), WIRE_FLAGS_TOO_LONG},
    {TEXT("ma k" EIGHTEEN_FLAGS " x\r\n"), WIRE_BAD_ARITH_FLAG},
    {TEXT("mg k v v\r\n"), WIRE_DUPLICATE_FLAG},
    {TEXT("mg k Tx v v1\r\n"), WIRE_DUPLICATE_FLAG},
    {TEXT("mg k P P\r\n"), WIRE_DUPLICATE_FLAG},
    {TEXT("md k z z\r\n"), WIRE_BAD_FLAG},
    {TEXT("mg k S\r\n"), WIRE_BAD_FLAG},
    {TEXT("mg k [ v\r\n"), WIRE_BAD_FLAG},
    {TEXT("mg k 5\r\n"), WIRE_BAD_FLAG},
    {TEXT("mg k noreply\r\n"), WIRE_BAD_FLAG},
    {TEXT("mg k Tx z\r\n"), WIRE_BAD_FLAG},
    {TEXT("mg k T\r\n"), WIRE_BAD_TOKEN},
    {TEXT("mg k q Cx\r\n"), WIRE_BAD_TOKEN},
    {TEXT("mg k F\r\n"), WIRE_BAD_FORMAT},
    {TEXT("mg k Cx F\r\n"), WIRE_BAD_TOKEN},
    {TEXT("mg k F Cx\r\n"), WIRE_BAD_TOKEN},
    {TEXT("mg k D\r\n"), WIRE_BAD_AMOUNT},
    {TEXT("md k Jx\r\n"), WIRE_BAD_INITIAL},
    {TEXT("md k Dx Jx Tx\r\n"), WIRE_BAD_TOKEN},
    {TEXT("mg k Tx b\r\n"), WIRE_BAD_KEY},
    {TEXT("mg k b Tx\r\n"), WIRE_BAD_TOKEN},
    {TEXT("mg k " OPAQUE_31 "x\r\n"), WIRE_OPAQUE_TOO_LONG},
    {TEXT("md k v " OPAQUE_31 "x q\r\n"), WIRE_OPAQUE_TOO_LONG},
    {TEXT("mg k Tx " OPAQUE_31 "x\r\n"), WIRE_BAD_TOKEN},
    {TEXT("ma k " OPAQUE_31 "x\r\n"), WIRE_OPAQUE_TOO_LONG},
    {TEXT("ma k Mx " OPAQUE_31 "x\r\n"), WIRE_BAD_ARITH_MODE},
    {TEXT("ma k M\r\n"), WIRE_BAD_ARITH_MODE},
    {TEXT("ma k Mi\r\n"), WIRE_BAD_ARITH_MODE},
    {TEXT("ma k Md\r\n"), WIRE_BAD_ARITH_MODE},
    {TEXT("ma k v v\r\n"), WIRE_BAD_ARITH_FLAG},
    {TEXT("ma k z\r\n"), WIRE_BAD_ARITH_FLAG},
    {TEXT("ma k Dx\r\n"), WIRE_BAD_ARITH_FLAG},
    {TEXT("ma k b\r\n"), WIRE_BAD_ARITH_FLAG},
    {TEXT("me k b\r\n"), WIRE_BAD_FORMAT},
    /* With a data block: its size decides what becomes of it. */
    {TEXT("ms\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("ms k\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("ms k x\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("ms k S1\r\na\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("ms k -1 z\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("ms k 2147483646\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("ms a\tb 7\r\n"), WIRE_BAD_FORMAT, .skip = 9},
    {TEXT("ms k 7 !\r\n"), WIRE_BAD_FORMAT, .skip = 9},
    {TEXT("ms k 7 z\r\n"), WIRE_BAD_FLAG, .skip = 9},
    {TEXT("ms k 7 T1 T2\r\n"), WIRE_DUPLICATE_FLAG, .skip = 9},
    {TEXT("ms k 7 Fx\r\n"), WIRE_BAD_FORMAT, .skip = 9},
    {TEXT("ms k 7 b\r\n"), WIRE_BAD_KEY, .skip = 9},
    {TEXT("ms k 7 M\r\n"), WIRE_BAD_SET_MODE, .skip = 9},
    {TEXT("ms k 7 Me\r\n"), WIRE_BAD_SET_MODE, .skip = 9},
    {TEXT("ms k 7 q M+\r\n"), WIRE_BAD_SET_MODE, .skip = 9},
    {TEXT("ms k 7 " OPAQUE_31 "x\r\n"), WIRE_OPAQUE_TOO_LONG, .skip = 9},
    {TEXT("ms k 7" EIGHTEEN_FLAGS "\r\n"), WIRE_FLAGS_TOO_LONG, .skip = 9},
    {TEXT("ms k 101 z\r\n"), WIRE_BAD_FLAG, true, .skip = 103},
    {TEXT("ms k 101 q\r\n"), WIRE_TOO_LARGE, .skip = 103},
    {TEXT("ms k 101 " OPAQUE_31 "x\r\n"), WIRE_TOO_LARGE, .skip = 103},
    {TEXT("ms k 1 q\r\nab\r\n"), WIRE_BAD_CHUNK, true},
};

static void a_faulty_command_is_refused_with_memcacheds_words(void **state)
{
    (void)state;
    check_refusals(refused, sizeof refused / sizeof refused[0]);
}

static void a_value_too_large_names_its_decoded_key(void **state)
{
    struct request r;

    (void)state;
    assert_int_equal(parse_checked((struct slice)TEXT("ms YWI= 101 b\r\n"), &r),
                     PARSE_BAD);
    assert_int_equal(r.command, COMMAND_MS);
    assert_slice(r.key, "ab");
}

/* Every letter of the table, alone, twice, on each command. */
static void every_flag_in_the_table_is_known_everywhere(void **state)
{
    static const struct {
        char letter;
        const char *token;
    } flags[] = {
#define NONE                                              ""
#define U64                                               "1"
#define U32                                               "1"
#define I32                                               "1"
#define OPAQUE                                            "o"
#define MODE                                              "S"
#define META_FLAG(letter, token, refusal, commands, help) {letter, token},
#include "proto/meta.def"
#undef META_FLAG
#undef NONE
#undef U64
#undef U32
#undef I32
#undef OPAQUE
#undef MODE
    };
    static const char *const commands[] = {"mg", "md", "ma"};

    (void)state;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        for (size_t c = 0; c < sizeof commands / sizeof commands[0]; c++) {
            char text[64];
            struct request r;
            bool bad_mode = flags[i].letter == 'M' && c == 2;
            int size = snprintf(text, sizeof text, "%s YQ== %c%s\r\n",
                                commands[c], flags[i].letter, flags[i].token);

            assert_int_equal(
                parse_checked((struct slice){text, (size_t)size}, &r),
                bad_mode ? PARSE_BAD : PARSE_DONE);
            size = snprintf(text, sizeof text, "%s YQ== %c%s %c%s\r\n",
                            commands[c], flags[i].letter, flags[i].token,
                            flags[i].letter, flags[i].token);
            assert_int_equal(
                parse_checked((struct slice){text, (size_t)size}, &r),
                PARSE_BAD);
            assert_int_equal(r.error, c == 2 ? WIRE_BAD_ARITH_FLAG
                                             : WIRE_DUPLICATE_FLAG);
        }
    }
}

static void a_base64_key_is_strictly_that(void **state)
{
    static const struct {
        const char *text;
        struct slice key; /* size 0: refused */
    } rows[] = {
        {"YQ==", TEXT("a")},
        {"YWI=", TEXT("ab")},
        {"YWJj", TEXT("abc")},
        {"AAAA", TEXT("\0\0\0")},
        {"IA==", TEXT(" ")},
        {"DQo=", TEXT("\r\n")},
        {"+/+/", TEXT("\xfb\xff\xbf")},
        {"Zm9vYmFy", TEXT("foobar")},
        {"Zm9vYg==", TEXT("foob")},
        {"Y", TEXT("")},
        {"YQ", TEXT("")},
        {"YQ=", TEXT("")},
        {"YQ===", TEXT("")},
        {"YR==", TEXT("")},
        {"YWJ=", TEXT("")},
        {"====", TEXT("")},
        {"Y===", TEXT("")},
        {"=YQ=", TEXT("")},
        {"Y=Q=", TEXT("")},
        {"YQ==YQ==", TEXT("")},
        {"Y!Q=", TEXT("")},
        {"Y-_=", TEXT("")},
        {"\xffQ==", TEXT("")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[64];
        struct request r;
        int size = snprintf(text, sizeof text, "mg %s b\r\n", rows[i].text);
        enum parse result =
            parse_checked((struct slice){text, (size_t)size}, &r);

        assert_int_equal(result, rows[i].key.size > 0 ? PARSE_DONE : PARSE_BAD);
        assert_int_equal(r.error,
                         rows[i].key.size > 0 ? WIRE_NONE : WIRE_BAD_KEY);
        assert_true(slice_equal(r.key, rows[i].key));
    }
}

/* What counts against the limit is what is sent. */
static void a_base64_key_is_at_most_250_bytes_encoded(void **state)
{
    (void)state;
    for (size_t size = 244; size <= 256; size += 4) {
        char text[300] = "mg ";
        struct request r;

        memset(text + 3, 'A', size);
        memcpy(text + 3 + size, " b\r\n", 4);
        enum parse result = parse_checked((struct slice){text, size + 7}, &r);

        assert_int_equal(result, size <= 250 ? PARSE_DONE : PARSE_BAD);
        assert_int_equal(r.error, size <= 250 ? WIRE_NONE : WIRE_BAD_FORMAT);
        assert_int_equal(r.key.size, size <= 250 ? size / 4 * 3 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_command_keeps_its_flags_in_order),
        cmocka_unit_test(tokens_reach_their_fields),
        cmocka_unit_test(a_mode_is_the_first_byte_of_its_token),
        cmocka_unit_test(a_faulty_command_is_refused_with_memcacheds_words),
        cmocka_unit_test(a_value_too_large_names_its_decoded_key),
        cmocka_unit_test(every_flag_in_the_table_is_known_everywhere),
        cmocka_unit_test(a_base64_key_is_strictly_that),
        cmocka_unit_test(a_base64_key_is_at_most_250_bytes_encoded),
    };
    return cmocka_run_group_tests_name("meta", tests, NULL, NULL);
}
