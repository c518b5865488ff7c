// SPDX-License-Identifier: Apache-2.0
/*
 * static_libc_locale.c - more that a static program leaves out of glibc: character sets, locales, the loader of shared
 * libraries that both need, and the unwinder. These are 150 KB that pmvm never runs, and that would open files.
 *
 * pmvm never calls setlocale, so its locale is always "C". It writes no wide characters, and neither cancels a thread
 * nor calls pthread_exit. What would run only then ends the program.
 *
 * The names are those inside glibc 2.36. The build links this file only where a program with it links (meson.build);
 * with another glibc the program is larger and works as well.
 */
#include <locale.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

_Noreturn static void is_never_called(void)
{
	abort();
}

// ---- locales: json-c asks for "C" before it parses a number, which is what every thread has

locale_t newlocale(int mask, const char *name, locale_t base)
{
	(void)mask;
	(void)name;
	(void)base;
	return uselocale(NULL);
}

locale_t duplocale(locale_t locale)
{
	return locale;
}

void freelocale(locale_t locale)
{
	(void)locale;
}

// ---- character sets: %lc and %ls of printf, streams of wide characters, fopen(path, "r,ccs=...")

size_t __wcrtomb(char *to, wchar_t c, mbstate_t *state);
size_t __wcrtomb(char *to, wchar_t c, mbstate_t *state)
{
	(void)to;
	(void)c;
	(void)state;
	is_never_called();
}

size_t wcrtomb(char *to, wchar_t c, mbstate_t *state)
{
	return __wcrtomb(to, c, state);
}

size_t __wcsrtombs(char *to, const wchar_t **from, size_t len, mbstate_t *state);
size_t __wcsrtombs(char *to, const wchar_t **from, size_t len, mbstate_t *state)
{
	(void)to;
	(void)from;
	(void)len;
	(void)state;
	is_never_called();
}

int _IO_fwide(FILE *stream, int mode);
int _IO_fwide(FILE *stream, int mode)
{
	(void)stream;
	(void)mode;
	return -1; // a stream of bytes
}

// glibc's prototypes of the following have types that are its own. None of them is ever called.
void __libio_codecvt_out(void);
void __libio_codecvt_out(void)
{
	is_never_called();
}

void __libio_codecvt_in(void);
void __libio_codecvt_in(void)
{
	is_never_called();
}

void __libio_codecvt_length(void);
void __libio_codecvt_length(void)
{
	is_never_called();
}

void __libio_codecvt_encoding(void);
void __libio_codecvt_encoding(void)
{
	is_never_called();
}

void __wcsmbs_named_conv(void);
void __wcsmbs_named_conv(void)
{
	is_never_called();
}

void __gconv_release_step(void);
void __gconv_release_step(void)
{
	is_never_called();
}

int __gconv_lock;                     // fclose takes it for a stream of wide characters
const void *__wcsmbs_gconv_fcts_c[4]; // the functions of the locale "C"

// ---- the unwinder: pthread_cancel and pthread_exit run a thread's cleanup handlers with it

void _Unwind_Resume(void);
void _Unwind_Resume(void)
{
	is_never_called();
}

void _Unwind_ForcedUnwind(void);
void _Unwind_ForcedUnwind(void)
{
	is_never_called();
}

void _Unwind_GetCFA(void);
void _Unwind_GetCFA(void)
{
	is_never_called();
}

void __gcc_personality_v0(void);
void __gcc_personality_v0(void)
{
	is_never_called();
}
