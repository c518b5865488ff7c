// SPDX-License-Identifier: Apache-2.0
/*
 * static_libc.c - what a static program leaves out of glibc: 140 KB that nothing here uses, and a system call.
 *
 * A static link takes an object from libc.a only for a symbol that is not defined yet. The definitions below keep these
 * away:
 * - The reader of message catalogues. pmvm never calls setlocale, so no message is ever translated, but printf needs
 *   the reader for %m.
 * - The resolver. pmvm resolves no names, but pthread_create sets a pointer of it for each thread.
 * - Wide printf, which assert uses.
 * - Comparisons without regard to case, ten variants of them for the processors since 2004. json-c and strtod make a
 *   few, of words such as "nan", and only of ASCII.
 * - The directory of the program, for $ORIGIN in the names of shared libraries: a readlink at each start.
 *
 * With a glibc that has other names for them, the definitions have no effect. If a part of pmvm begins to resolve
 * names, the program does not link until __libc_resp is removed here.
 */
#include <ctype.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

char *__dcgettext(const char *domain, const char *text, int category);
char *__dcgettext(const char *domain, const char *text, int category)
{
	(void)domain;
	(void)category;
	return (char *)text;
}

const char *_dl_get_origin(void);
const char *_dl_get_origin(void)
{
	return (const char *)-1; // it is not known
}

extern __thread void *__libc_resp;
__thread void *__libc_resp;

_Noreturn void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function);
_Noreturn void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
	char text[512];

	snprintf(text, sizeof(text), "pmvm: %s:%u: %s: Assertion `%s' failed.\n", file, line, function, assertion);
	(void)!write(STDERR_FILENO, text, strlen(text));
	abort();
}

// ---- comparisons without regard to case, by the names that glibc has for them inside and outside

int strncasecmp(const char *a, const char *b, size_t len)
{
	int difference = 0;

	for (; len > 0 && difference == 0; a++, b++, len--) {
		difference = tolower((unsigned char)*a) - tolower((unsigned char)*b);
		if (*a == '\0')
			break;
	}
	return difference;
}

int strcasecmp(const char *a, const char *b)
{
	return strncasecmp(a, b, SIZE_MAX);
}

int __strcasecmp(const char *a, const char *b);
int __strcasecmp(const char *a, const char *b)
{
	return strncasecmp(a, b, SIZE_MAX);
}

int __strncasecmp(const char *a, const char *b, size_t len);
int __strncasecmp(const char *a, const char *b, size_t len)
{
	return strncasecmp(a, b, len);
}

int __strcasecmp_l(const char *a, const char *b, locale_t locale);
int __strcasecmp_l(const char *a, const char *b, locale_t locale)
{
	(void)locale;
	return strncasecmp(a, b, SIZE_MAX);
}

int __strncasecmp_l(const char *a, const char *b, size_t len, locale_t locale);
int __strncasecmp_l(const char *a, const char *b, size_t len, locale_t locale)
{
	(void)locale;
	return strncasecmp(a, b, len);
}
