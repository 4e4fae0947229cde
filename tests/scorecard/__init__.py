"""How often the verdict is right: fitted to the corpus' role "fit", judged on its role "judge", beside other rules."""
